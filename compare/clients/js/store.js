// @ts-check
/**
 * The store of one person: a folder with a file per key, which stands for a web view's localStorage.
 *
 * Reads and writes are synchronous, and every read sees the last write of any process. A file per key, because
 * localStorage keeps what two processes write to two keys at a time: with one file for all, the second would put back
 * what the first has just replaced. A read costs one `stat`: a browser answers getItem from memory, so a client that
 * reads its store at each call must not pay for reading a file here.
 */
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** How the name of a key's file ends; drafts end otherwise. */
const ITEM = ".item";

/**
 * The value of one key, and which version of its file that was: a write replaces the file, so its inode or its time
 * changes.
 *
 * @typedef {{ value: string, inode: bigint, changed: bigint }} Item
 */

/** The folder behind the windows of one process. */
export class Store {
  /** @type {Set<WindowStorage>} */
  #windows = new Set();
  /** What was read last. @type {Map<string, Item>} */
  #items = new Map();
  /** The file of each key. @type {Map<string, string>} */
  #files = new Map();
  #folder;

  /** @param {string} path the folder is beside it */
  constructor(path) {
    this.#folder = `${path}.keys`;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  /** The store as one more window sees it. */
  window() {
    const storage = new WindowStorage(this);
    this.#windows.add(storage);
    return storage;
  }

  keys() {
    const names = readdirSync(this.#folder).filter((name) => name.endsWith(ITEM));
    return names.map((name) => decodeURIComponent(name.slice(0, -ITEM.length)));
  }

  /** @param {string} key */
  read(key) {
    const file = this.#file(key);
    const now = statSync(file, { bigint: true, throwIfNoEntry: false });
    const known = this.#items.get(key);
    if (now && known && now.ino === known.inode && now.mtimeNs === known.changed) return known.value;
    const value = now ? contents(file) : null;
    if (now && value !== null) this.#items.set(key, { value, inode: now.ino, changed: now.mtimeNs });
    else this.#items.delete(key);
    return value;
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
    const oldValue = this.read(key);
    const file = this.#file(key);
    if (newValue === null) {
      rmSync(file, { force: true });
    } else {
      // By rename: another process must never read half of a file.
      const draft = `${file}.${process.pid}`;
      writeFileSync(draft, newValue, { mode: 0o600 });
      renameSync(draft, file);
    }
    if (oldValue === newValue) return;
    for (const other of this.#windows) {
      if (other !== writer) setImmediate(() => other.dispatchEvent(new StorageChange(key, newValue)));
    }
  }

  /** @param {string} key */
  #file(key) {
    let file = this.#files.get(key);
    // Encoded, a key is a name of one part, and none of it can be a path.
    if (!file) this.#files.set(key, (file = join(this.#folder, encodeURIComponent(key) + ITEM)));
    return file;
  }
}

/** Null where another process has removed the file since. @param {string} file */
function contents(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "ENOENT") return null;
    throw error;
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
    return this.#store.keys().length;
  }

  /** @param {number} index */
  key(index) {
    return this.#store.keys()[index] ?? null;
  }

  /** @param {string} key */
  getItem(key) {
    return this.#store.read(key);
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
    for (const key of this.#store.keys()) this.removeItem(key);
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
