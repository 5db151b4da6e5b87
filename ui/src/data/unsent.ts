/**
 * What has not reached the server, kept on this computer: it survives the window, the application and a crash. It belongs
 * to one person at one server.
 */
import type { Host, Owner, UnsentWork } from "../host";
import type { Drafts, RecordDraft } from "./drafts";
import type { Edit, Edits } from "./edits";

const EMPTY = JSON.stringify({ edits: [], drafts: [] } satisfies UnsentWork);

type Storage = Pick<Host, "keepUnsent" | "takeUnsent" | "onUnsent">;

export class Unsent {
  #host: Storage;
  #edits: Edits;
  #drafts: Drafts;
  #owner: Owner | undefined;
  /** The text that was stored last, so that nothing is stored twice. */
  #stored = EMPTY;
  #isTaken = false;
  /** Whether a window was closed whose work can be taken over. */
  #isOffered = false;
  #isBusy = false;
  #isKept = true;
  #listeners = new Set<() => void>();
  #stop: (() => void)[] = [];

  constructor(host: Storage, edits: Edits, drafts: Drafts) {
    this.#host = host;
    this.#edits = edits;
    this.#drafts = drafts;
  }

  /** Whether the computer has all of it. */
  isKept = (): boolean => this.#isKept;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Takes over what was kept for this owner, and keeps every change from now on. */
  async open(owner: Owner): Promise<void> {
    this.close();
    this.#owner = owner;
    const keep = () => void this.#keep();
    this.#stop = [this.#edits.subscribe(keep), this.#drafts.subscribe(keep)];
    const stop = await this.#host.onUnsent(() => {
      this.#isOffered = true;
      keep();
    });
    if (this.#owner === owner) this.#stop.push(stop);
    else stop();
    await this.#keep();
  }

  /** Changes nothing that is kept. */
  close(): void {
    this.#owner = undefined;
    this.#isTaken = false;
    this.#stored = EMPTY;
    for (const stop of this.#stop) stop();
    this.#stop = [];
  }

  /** Stores the newest state. While one is being stored, the changes that follow are stored together afterwards. */
  async #keep(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (let owner = this.#owner; owner; owner = this.#owner) {
        // Nothing is written over before it was read.
        if (!this.#isTaken) await this.#take(owner);
        const work: UnsentWork = { edits: [...this.#edits.all()], drafts: [...this.#drafts.toKeep()] };
        const text = JSON.stringify(work);
        if (this.#owner !== owner || !this.#isTaken) continue;
        if (text !== this.#stored) {
          await this.#host.keepUnsent(owner, work);
          if (this.#owner === owner) this.#stored = text;
        } else if (this.#isOffered) {
          // Only now: the file would bring back what was discarded and not yet written.
          await this.#take(owner);
        } else break;
      }
      this.#setKept(true);
    } catch {
      this.#setKept(false);
    } finally {
      this.#isBusy = false;
    }
  }

  async #take(owner: Owner): Promise<void> {
    const kept = await this.#host.takeUnsent(owner);
    if (this.#owner !== owner) return;
    this.#isTaken = true;
    this.#isOffered = false;
    // The file of this window holds it now.
    this.#stored = JSON.stringify(kept);
    this.#drafts.adopt(kept.drafts.filter(isDraft));
    this.#edits.adopt(kept.edits.filter(isEdit));
  }

  #setKept(isKept: boolean): void {
    if (isKept === this.#isKept) return;
    this.#isKept = isKept;
    for (const listener of this.#listeners) listener();
  }
}

/** What another version has kept may have another form: only what this one can send is taken over. */
const isEdit = (value: unknown): value is Edit =>
  hasTexts(value, ["key", "kind", "object", "id", "name", "state"]) &&
  ["update", "create", "delete", "restore"].includes((value as Edit).kind);
const isDraft = (value: unknown): value is RecordDraft =>
  hasTexts(value, ["object", "id", "name"]) && typeof (value as RecordDraft).fields === "object";

function hasTexts(value: unknown, names: string[]): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === "string")
  );
}
