import { hex } from "./hex.js";

/** Random bytes of an id. Two calls of a window within ten minutes must not get the same one. */
const ID_BYTES = 16;

/** A random id, by which the application recognises an invoke that Tauri repeats. */
export function newId(): string {
  return hex(crypto.getRandomValues(new Uint8Array(ID_BYTES)));
}
