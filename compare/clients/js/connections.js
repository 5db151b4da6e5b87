// @ts-check
/**
 * Every driver has so many connections to the server, kept alive, for the client and for the bare requests beside
 * it: what is compared is the client and not its sockets. Node's own `fetch` takes its connections from here.
 */
import { Agent, setGlobalDispatcher } from "undici";

export const CONNECTIONS = 32;

setGlobalDispatcher(new Agent({ connections: CONNECTIONS }));
