import { hex } from "./hex.js";

/** Bytes of randomness in an id: it must not come twice in ten minutes of one window's calls. */
const ID_BYTES = 16;

/** An id that the page makes up, so that an invoke that Tauri repeats is known again. */
export function newId(): string {
  return hex(crypto.getRandomValues(new Uint8Array(ID_BYTES)));
}
