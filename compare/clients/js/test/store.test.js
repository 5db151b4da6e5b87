// @ts-check
/** The store, as two processes of a person and two windows of a process share it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { Store, StorageChange } from "../store.js";

/** How often each process writes: often enough that with one file for all keys some writes were lost in every run. */
const WRITES = 300;

test("what two processes write to two keys at a time is all kept", (t) =>
  inFolder(t, async (path) => {
    const storage = new Store(path).window();
    const counting = (/** @type {string} */ key) => `
      import { Store } from ${JSON.stringify(new URL("../store.js", import.meta.url).href)};
      const storage = new Store(${JSON.stringify(path)}).window();
      for (let count = 1; count <= ${WRITES}; count++) {
        storage.setItem("${key}", String(count));
        if (storage.getItem("${key}") !== String(count)) throw new Error(\`\${count} is lost\`);
      }`;
    const exits = ["a", "b"].map((key) => {
      const writer = spawn(process.execPath, ["--input-type=module", "--eval", counting(key)], { stdio: "inherit" });
      return once(writer, "exit");
    });
    for (const [code] of await Promise.all(exits)) assert.equal(code, 0);
    assert.equal(storage.getItem("a"), String(WRITES));
    assert.equal(storage.getItem("b"), String(WRITES));
  }));

test("a key may be any text, and what is removed is gone for another store too", (t) =>
  inFolder(t, async (path) => {
    const storage = new Store(path).window();
    const other = new Store(path).window();
    const keys = ["", "..", "../x", "a/b", "oidc.user:http://127.0.0.1:1:holdfast", "é %"];
    for (const key of keys) storage.setItem(key, `of ${key}`);
    for (const key of keys) assert.equal(other.getItem(key), `of ${key}`);
    assert.equal(other.length, keys.length);
    assert.deepEqual(new Set(keys.map((_, index) => other.key(index))), new Set(keys));
    assert.equal(other.key(keys.length), null);

    storage.removeItem("..");
    storage.removeItem("never there");
    assert.equal(other.getItem(".."), null);
    other.clear();
    assert.equal(storage.length, 0);
    assert.equal(storage.getItem("a/b"), null);
  }));

test("a change is told to the other windows, later and once; a write of the same value to nobody", (t) =>
  inFolder(t, async (path) => {
    const store = new Store(path);
    const [writer, other] = [store.window(), store.window()];
    /** @type {[string, string, string | null][]} */
    const told = [];
    for (const [name, window] of /** @type {const} */ ([
      ["writer", writer],
      ["other", other],
    ])) {
      window.addEventListener("storage", (event) => {
        if (event instanceof StorageChange) told.push([name, event.key, event.newValue]);
      });
    }
    writer.setItem("token", "1");
    writer.setItem("token", "1");
    writer.removeItem("token");
    writer.removeItem("token");
    assert.deepEqual(told, []);
    // They were queued before this: whatever is told has been told then.
    await turn();
    assert.deepEqual(told, [
      ["other", "token", "1"],
      ["other", "token", null],
    ]);
  }));

/** @param {import("node:test").TestContext} t @param {(path: string) => Promise<void>} scene */
async function inFolder(t, scene) {
  const folder = mkdtempSync(join(tmpdir(), "compare-store-"));
  t.after(() => rmSync(folder, { recursive: true }));
  await scene(join(folder, "store.json"));
}
