// @ts-check
/**
 * The store of one person: a JSON file of strings by key, which stands for a web view's localStorage.
 *
 * Reads and writes are synchronous, and every read sees the last write of any process. A read costs one `stat`: a
 * browser answers getItem from memory, so a client that reads its store at each call must not pay for parsing a
 * file here.
 */
import { renameSync, readFileSync, statSync, writeFileSync } from "node:fs";

/** The file behind the windows of one process. */
export class Store {
  /** @type {Set<WindowStorage>} */
  #windows = new Set();
  /** @type {Record<string, string>} */
  #items = {};
  #path;
  /** Which version of the file `#items` was read from: a write replaces the file, so its inode or its time changes. */
  #inode = 0n;
  #changed = 0n;

  /** @param {string} path */
  constructor(path) {
    this.#path = path;
  }

  /** The store as one more window sees it. */
  window() {
    const storage = new WindowStorage(this);
    this.#windows.add(storage);
    return storage;
  }

  items() {
    const file = statSync(this.#path, { bigint: true, throwIfNoEntry: false });
    if (!file) {
      this.#items = {};
    } else if (file.ino !== this.#inode || file.mtimeNs !== this.#changed) {
      this.#items = JSON.parse(readFileSync(this.#path, "utf8"));
    }
    this.#inode = file?.ino ?? 0n;
    this.#changed = file?.mtimeNs ?? 0n;
    return this.#items;
  }

  /**
   * Writes one value (null removes it), and tells the other windows of this process, as a browser does with its
   * `storage` events: in a later task, and never the window that wrote. Other processes are not told: they have a
   * web engine of their own.
   *
   * @param {WindowStorage} writer
   * @param {string} key
   * @param {string | null} newValue
   */
  write(writer, key, newValue) {
    const items = { ...this.items() };
    const oldValue = items[key] ?? null;
    if (newValue === null) delete items[key];
    else items[key] = newValue;
    // By rename: another process must never read half of a file.
    const draft = `${this.#path}.${process.pid}`;
    writeFileSync(draft, JSON.stringify(items), { mode: 0o600 });
    renameSync(draft, this.#path);
    if (oldValue === newValue) return;
    for (const other of this.#windows) {
      if (other !== writer) setImmediate(() => other.dispatchEvent(new StorageChange(key, newValue)));
    }
  }
}

/** What a page knows as `localStorage`; its `storage` events arrive here and not at a `window` object. */
export class WindowStorage extends EventTarget {
  #store;

  /** @param {Store} store */
  constructor(store) {
    super();
    this.#store = store;
  }

  get length() {
    return Object.keys(this.#store.items()).length;
  }

  /** @param {number} index */
  key(index) {
    return Object.keys(this.#store.items())[index] ?? null;
  }

  /** @param {string} key */
  getItem(key) {
    return this.#store.items()[key] ?? null;
  }

  /** @param {string} key @param {string} value */
  setItem(key, value) {
    this.#store.write(this, key, String(value));
  }

  /** @param {string} key */
  removeItem(key) {
    this.#store.write(this, key, null);
  }

  clear() {
    for (const key of Object.keys(this.#store.items())) this.removeItem(key);
  }
}

/** The part of a browser's StorageEvent that the clients read. */
export class StorageChange extends Event {
  /** @param {string} key @param {string | null} newValue */
  constructor(key, newValue) {
    super("storage");
    this.key = key;
    this.newValue = newValue;
  }
}
