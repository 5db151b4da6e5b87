// @ts-check
/**
 * The process of one person: a client under the driver protocol. Commands come in as JSON lines on stdin, answers
 * go out as JSON lines on stdout, and the process ends when stdin closes.
 *
 *     node drive.js urql
 */
import { Console } from "node:console";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import "./connections.js";
import { Store } from "./store.js";
import { measure, replays, waiters } from "./turns.js";
/** @import { Client, ClientWindow, GraphQLReply, Operation, SignInTokens } from "./client.js" */

// Stdout belongs to the protocol. What a client logs is for a person.
globalThis.console = new Console(process.stderr, process.stderr);
// As in an application that was built to be shipped: the libraries leave their development checks out.
process.env.NODE_ENV = "production";
Object.assign(globalThis, { __DEV__: false });
// Whatever a client leaves unhandled must not end the others' run.
process.on("unhandledRejection", (reason) => console.error("unhandled rejection:", shortly(reason)));
process.on("uncaughtException", (error) => console.error("uncaught exception:", shortly(error)));

const NAMES = ["urql", "apollo", "apollo-link-token-refresh", "axios-auth-refresh", "supabase", "oidc-client-ts"];
const name = process.argv[2] ?? "";
if (!NAMES.includes(name)) {
  console.error(`Which client? One of ${NAMES.join(", ")}.`);
  process.exit(2);
}
/** @type {{ client: Client }} */
const { client } = await import(`./clients/${name}.js`);

/** What `open` has set up. */
let origin = "";
/** @type {ClientWindow[]} */
let windows = [];
/** Once the person has signed out, a client that says so tells nobody anything new. */
let signedOut = false;
/** The calls that have not settled, by id. @type {Map<number, AbortController>} */
const calls = new Map();

/** What answers each command; one without an answer says nothing. @type {Record<string, (command: any) => Promise<unknown>>} */
const commands = {
  async open(/** @type {{ origin: string, store: string, windows: number, tokens?: SignInTokens }} */ command) {
    origin = command.origin;
    signedOut = false;
    const store = new Store(command.store);
    if (command.tokens) client.signedIn(store.window(), command.tokens, origin);
    windows = [];
    for (let index = 0; index < command.windows; index++) {
      const onLogout = () => {
        if (!signedOut) say({ logout: true, window: index });
      };
      windows.push(await client.open({ origin, storage: store.window(), onLogout }));
    }
    return { opened: true };
  },

  async call({ id, window, query, variables }) {
    const caller = new AbortController();
    calls.set(id, caller);
    const outcome = await settle(window, { query, variables }, caller.signal);
    calls.delete(id);
    return { settled: id, ...outcome };
  },

  async abort({ id }) {
    calls.get(id)?.abort();
  },

  async signOut({ window }) {
    signedOut = true;
    await opened(window).signOut();
    return { signedOut: true };
  },

  async status({ window }) {
    return { status: { signedIn: opened(window).tokens() !== undefined } };
  },

  async expire() {
    for (const window of windows) window.expire();
    return { expired: true };
  },

  async measure(command) {
    return { measured: await measure(subject(), command) };
  },

  async waiters(command) {
    return { waited: await waiters(subject(), command) };
  },

  async replays(command) {
    return { replayed: await replays(subject(), command) };
  },

  async versions() {
    const installed = client.packages.map((name) => {
      const manifest = new URL(`./node_modules/${name}/package.json`, import.meta.url);
      const { name: published, version } = JSON.parse(readFileSync(manifest, "utf8"));
      return [published, version];
    });
    return { versions: { ...Object.fromEntries(installed), node: process.version } };
  },
};

/** The field of each command's answer, which is false where the command failed. @type {Record<string, string>} */
const FAILED = {
  open: "opened",
  signOut: "signedOut",
  expire: "expired",
  measure: "measured",
  waiters: "waited",
  replays: "replayed",
};

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => void obey(line));
lines.on("close", () => process.exit(0));

/** @param {string} line */
async function obey(line) {
  let command;
  try {
    command = JSON.parse(line);
    const act = commands[command.do];
    if (!act) throw new Error(`No such command: ${command.do}`);
    const answer = await act(command);
    if (answer) say(answer);
  } catch (error) {
    const field = FAILED[command?.do] ?? "failed";
    say({ [field]: false, error: shortly(error) });
  }
}

/** @param {unknown} answer */
function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** @param {number} index */
function opened(index) {
  const window = windows[index];
  if (!window) throw new Error(`No window ${index} is open`);
  return window;
}

/** What the figures are taken of: calls through the first window. */
function subject() {
  return {
    origin,
    looksAtClock: client.looksAtClock,
    call: (/** @type {Operation} */ operation) => settle(0, operation),
    tokens: opened(0).tokens,
    expire: () => windows.forEach((window) => window.expire()),
  };
}

/**
 * The one outcome of a call, whatever the client throws.
 *
 * @param {number} window
 * @param {Operation} operation
 * @param {AbortSignal} [signal]
 */
async function settle(window, operation, signal) {
  try {
    return outcomeOf(await opened(window).call(operation, signal));
  } catch (error) {
    return signal?.aborted ? { outcome: "aborted" } : { outcome: "error", error: shortly(error) };
  }
}

/** @param {GraphQLReply} reply */
function outcomeOf({ data, errors }) {
  const hasData = data !== undefined && data !== null;
  if (!errors?.length) return hasData ? { outcome: "data" } : { outcome: "error", error: "neither data nor errors" };
  return hasData ? { outcome: "partial" } : { outcome: "error", error: shortly(errors[0]) };
}

/** Characters of an error's text that are passed on. */
const SHORT = 200;

/** Nothing shorter is a secret: the "r" of the server of the figures would take every r out of an error's text. */
const TOKEN_LENGTH = 8;

/**
 * An error as one short text, without anything that is a token or looks like one.
 *
 * @param {unknown} error
 */
function shortly(error) {
  const { name = "", message = String(error) } = /** @type {Partial<Error>} */ (error ?? {});
  let text = name && name !== "Error" ? `${name}: ${message}` : message;
  for (const window of windows) {
    for (const token of Object.values(window.tokens() ?? {})) {
      if (token.length >= TOKEN_LENGTH) text = text.replaceAll(token, "…");
    }
  }
  const long = /(?=[\w.~+/=-]*\d)[\w.~+/=-]{32,}/g;
  return text.replace(long, "…").slice(0, SHORT);
}
