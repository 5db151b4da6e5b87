/**
 * Every change that a person makes goes through here, so that none is lost. A change that can't be sent now waits. Before
 * it is sent later, its record is read: what the server holds already is dropped, what somebody else has changed meanwhile
 * asks the person, and everything else is sent. The same is done with a change whose answer was lost.
 */
import type { Code } from "../host";
import { codeOf, errorText, isAway } from "../errorText";
import { edits as words } from "../messages";
import { isNothing, partsOf, type Value } from "./editing";
import type { Row } from "./fields";

/**
 * - `sending`: on its way
 * - `waiting`: not at the server; it is sent later
 * - `uncertain`: its answer was lost; the record is read to see whether it was saved
 * - `conflict`: somebody else has changed the field meanwhile; the person decides
 * - `failed`: the server refused it
 */
export type EditState = "sending" | "waiting" | "uncertain" | "conflict" | "failed";

/** One change that has not been confirmed by the server. */
export interface Edit {
  key: string;
  kind: "update" | "create" | "delete" | "restore";
  /** Singular name of the object. */
  object: string;
  /** The record's id. A record that the server does not have yet has a temporary one. */
  id: string;
  /** The field of an update. */
  field?: string;
  /** The new value of the field, or the new record's values. */
  value: Value;
  /** The field's value before the edit. */
  before?: Value;
  /** Earlier values of this edit that the server may have stored: finding one of them is no conflict. */
  tried?: Value[];
  /** The record's name, for the list. */
  name: string;
  state: EditState;
  message?: string;
}

export interface Sent {
  edit: Edit;
  /** The record as the server returned it; absent after a delete. */
  row?: Row;
}

export type Draft = Omit<Edit, "key" | "state" | "message" | "tried">;
export type Outcome = "done" | EditState;

/** What the edits need of the server. */
export interface Server {
  send: (edit: Edit) => Promise<Row | undefined>;
  /** The record of an edit as the server holds it; `undefined` where it has none. */
  read: (edit: Edit) => Promise<Row | undefined>;
}

/**
 * The state of a change after its call failed with this code: `waiting` if it did not reach the server or was refused as
 * a whole; `uncertain` if the server may have executed it.
 */
const STATE_AFTER: Record<Code, Exclude<EditState, "sending" | "conflict">> = {
  unreachable: "waiting",
  signed_out: "waiting",
  locked: "waiting",
  no_answer: "waiting",
  too_many_calls: "waiting",
  host_not_found: "waiting",
  certificate: "waiting",
  maybe_executed: "uncertain",
  already_ran: "uncertain",
  timed_out: "uncertain",
  access_denied: "failed",
  cancelled: "failed",
  not_confirmed: "failed",
  too_large: "failed",
  upload_broken: "failed",
  invalid_request: "failed",
  wrong_password: "failed",
  unknown_user: "failed",
  second_factor_required: "failed",
  sign_in_refused: "failed",
  sign_in_cancelled: "failed",
  sign_in_timed_out: "failed",
  browser_unavailable: "failed",
  invalid_address: "failed",
  not_this_server: "failed",
  leads_elsewhere: "failed",
  config: "failed",
  internal: "failed",
};
/** Most edits that can be undone. */
const UNDO_KEPT = 100;
/** The pause before what waits is tried again by itself, in milliseconds. It doubles with each failure. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

export class Edits {
  #edits: readonly Edit[] = [];
  /** How each change is undone, with the key of the change. */
  #undo: { of: string; reverse: Draft }[] = [];
  #listeners = new Set<() => void>();
  #sentListeners = new Set<(sent: Sent) => void>();
  #server: Server;
  #epoch = 0;
  #flushing = false;
  #reachable = true;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(server: Server) {
    this.#server = server;
  }

  /** The same list until something changes, then a new one. */
  all = (): readonly Edit[] => this.#edits;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** The unconfirmed change with the same key, if there is one. */
  find(change: Keyed): Edit | undefined {
    return this.#find(keyOf(change));
  }

  /** Calls the listener with each change that the server confirmed. */
  onSent(listener: (sent: Sent) => void): () => void {
    this.#sentListeners.add(listener);
    return () => this.#sentListeners.delete(listener);
  }

  /** Adds changes that were kept from an earlier start. One that was on its way then may be saved. */
  adopt(kept: readonly Edit[]): void {
    const added = kept
      .filter((edit) => !this.#find(edit.key))
      .map((edit): Edit => (edit.state === "sending" ? { ...edit, state: "uncertain" } : edit));
    if (added.length === 0) return;
    this.#edits = [...added, ...this.#edits];
    this.#tell();
    void this.flush();
  }

  /** While the server can't be reached, changes wait and are not tried one by one. */
  setReachable(reachable: boolean): void {
    const again = reachable && !this.#reachable;
    this.#reachable = reachable;
    if (again) void this.flush();
  }

  /** Sends a change, or keeps it waiting. Never rejects: the outcome says which. */
  async submit(draft: Draft): Promise<Outcome> {
    const reverse = reverseOf(draft);
    this.#undo.push({ of: keyOf(draft), reverse });
    if (this.#undo.length > UNDO_KEPT) this.#undo.shift();
    return this.#submit(draft);
  }

  /** Sends what waits, in the order in which it was made, now. */
  async flush(): Promise<void> {
    this.#failures = 0;
    await this.#flush();
  }

  /** Sends what waits, unless that has just failed: then it is tried again after a pause. */
  flushUnlessPausing(): void {
    if (this.#timer === undefined) void this.#flush();
  }

  /** Sends one change again, at a person's request. In a conflict the person's own value wins. */
  async retry(key: string): Promise<Outcome> {
    const edit = this.#find(key);
    if (!edit || edit.state === "sending") return edit ? "sending" : "done";
    return this.#deliver(this.#put({ ...edit, state: "sending", message: undefined }));
  }

  /** Drops one change at a person's request; it can no longer be undone. */
  discard(key: string): void {
    this.#undo = this.#undo.filter((one) => one.of !== key);
    this.#drop(key);
  }

  /** Drops everything from memory: the session now belongs to another person. */
  clear(): void {
    this.#epoch += 1;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#edits = [];
    this.#undo = [];
    this.#tell();
  }

  /** Undoes the last change, or the last one with this key; `undefined` where there is none. */
  undo(key?: string): Promise<Outcome> | undefined {
    const at = this.#undo.findLastIndex((one) => key === undefined || one.of === key);
    const last = this.#undo[at];
    if (!last) return undefined;
    this.#undo = this.#undo.toSpliced(at, 1);
    const unsent = this.#find(last.of);
    // What the server has not done needs no second call.
    if (unsent && isNotDone(unsent)) {
      this.#drop(last.of);
      return Promise.resolve("done");
    }
    return this.#submit(last.reverse);
  }

  async #submit(draft: Draft): Promise<Outcome> {
    const key = keyOf(draft);
    const earlier = this.#find(key);
    // A second edit of a cell keeps the server's value as `before`: going back to that value drops the edit.
    const before = earlier ? earlier.before : draft.before;
    const maybeStored = earlier && (earlier.state === "sending" || earlier.state === "uncertain");
    const tried = [...(earlier?.tried ?? []), ...(maybeStored ? [earlier.value] : [])];
    if (earlier?.state === "waiting" && draft.kind === "update" && sameValue(before, draft.value)) {
      this.#drop(key);
      return "done";
    }
    const edit: Edit = { ...draft, before, key, state: this.#reachable ? "sending" : "waiting" };
    if (tried.length > 0) edit.tried = tried;
    if (earlier?.state === "sending") {
      this.#put({ ...edit, state: "sending" });
      return "sending";
    }
    this.#put(edit);
    return this.#reachable ? this.#deliver(edit) : "waiting";
  }

  async #flush(): Promise<void> {
    if (this.#flushing) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = true;
    const epoch = this.#epoch;
    try {
      for (const { key } of this.#edits.filter(isUnsettled)) {
        const edit = this.#find(key);
        if (!edit || !isUnsettled(edit) || epoch !== this.#epoch || !this.#reachable) continue;
        const outcome = await this.#settle(edit);
        // The others would fail in the same way.
        if (outcome === "waiting" || outcome === "uncertain") return;
        this.#failures = 0;
      }
    } finally {
      this.#flushing = false;
    }
  }

  /** Reads the record of a change that has waited, and drops the change, sends it, or asks the person. */
  async #settle(edit: Edit): Promise<Outcome> {
    const epoch = this.#epoch;
    let row: Row | undefined;
    try {
      row = await this.#server.read(edit);
    } catch (error) {
      if (epoch !== this.#epoch) return "done";
      const state = stateAfter(error);
      if (state !== "failed") {
        this.#tryLater();
        return state;
      }
      this.#replace(edit, { state, message: errorText(error) });
      return state;
    }
    if (epoch !== this.#epoch) return "done";
    const now = this.#find(edit.key);
    // It was discarded, edited or sent meanwhile.
    if (now !== edit) return "done";
    switch (verdict(edit, row)) {
      case "stored":
        this.#confirm(edit, row);
        return "done";
      case "open":
        return this.#deliver(this.#put({ ...edit, value: onTop(edit, row), state: "sending", message: undefined }));
      case "conflict":
        this.#put({ ...edit, value: onTop(edit, row), state: "conflict", message: undefined });
        return "conflict";
      case "gone":
        this.#replace(edit, { state: "failed", message: words.gone });
        return "failed";
    }
  }

  async #deliver(edit: Edit): Promise<Outcome> {
    const epoch = this.#epoch;
    try {
      const row = await this.#server.send(edit);
      if (epoch !== this.#epoch) return "done";
      const now = this.#find(edit.key);
      if (now && now !== edit && now.kind === "update" && !sameValue(now.value, edit.value)) {
        // The cell was edited again meanwhile: the newer value is sent next.
        for (const listener of this.#sentListeners) listener({ edit, row });
        return await this.#deliver(now);
      }
      this.#confirm(edit, row);
      return "done";
    } catch (error) {
      if (epoch !== this.#epoch) return "done";
      const state = stateAfter(error);
      this.#replace(edit, { state, message: errorText(error) });
      if (state !== "failed") this.#tryLater();
      return state;
    }
  }

  /** Tries again by itself, after a longer pause each time. */
  #tryLater(): void {
    if (this.#timer !== undefined) return;
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#flush();
    }, pause);
  }

  #confirm(edit: Edit, row: Row | undefined): void {
    this.#edits = this.#edits.filter((other) => other.key !== edit.key);
    for (const listener of this.#sentListeners) listener({ edit, row });
    this.#tell();
  }

  #find(key: string): Edit | undefined {
    return this.#edits.find((edit) => edit.key === key);
  }

  #put(edit: Edit): Edit {
    const at = this.#edits.findIndex((other) => other.key === edit.key);
    this.#edits = at < 0 ? [...this.#edits, edit] : this.#edits.with(at, edit);
    this.#tell();
    return edit;
  }

  /** Changes the state of an edit that may have been edited again meanwhile. */
  #replace(edit: Edit, change: Pick<Edit, "state" | "message">): void {
    this.#put({ ...(this.#find(edit.key) ?? edit), ...change });
  }

  #drop(key: string): void {
    this.#edits = this.#edits.filter((edit) => edit.key !== key);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** What tells one change from another. */
type Keyed = Pick<Draft, "kind" | "object" | "id" | "field">;

/** The key of a change: one for each field of a record, one for its creation, one for its deletion. */
export function keyOf({ kind, object, id, field }: Keyed): string {
  return `${object}:${id}:${kind === "update" ? field : kind}`;
}

/** The beginning of the ids of records that the server does not have yet. The id that they will have follows. */
const TEMPORARY = "new:";

export const temporaryId = (): string => `${TEMPORARY}${crypto.randomUUID()}`;

export const isTemporary = (id: string): boolean => id.startsWith(TEMPORARY);

/** The id under which the server has, or will have, a record. */
export const serverId = (id: string): string => (isTemporary(id) ? id.slice(TEMPORARY.length) : id);

/** The rows that the table shows: the server's, with the unconfirmed changes applied. */
export function overlay(rows: readonly Row[], edits: readonly Edit[], object: string): Row[] {
  const mine = edits.filter((edit) => edit.object === object);
  if (mine.length === 0) return rows as Row[];
  const updates = new Map<string, Edit[]>();
  for (const edit of mine) if (edit.kind === "update") updates.set(edit.id, [...(updates.get(edit.id) ?? []), edit]);
  const created = mine
    .filter((edit) => edit.kind === "create")
    .map((edit) => ({ ...(edit.value as object), id: edit.id }) as Row);
  return [
    ...created.reverse(),
    ...rows.map((row) => {
      const own = updates.get(row.id);
      return own ? { ...row, ...Object.fromEntries(own.map((edit) => [edit.field!, edit.value])) } : row;
    }),
  ];
}

/** Whether two values are the same to a person. */
export function sameValue(a: Value, b: Value): boolean {
  return JSON.stringify(a ?? null, sorted) === JSON.stringify(b ?? null, sorted);
}

/** Composite values are equal by content, without regard to the order of their parts and to type names. */
function sorted(_key: string, value: unknown): unknown {
  if (!value || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== "__typename")
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Whether the server holds this value: it fills in what an input leaves out, and knows empty texts as nothing. */
function holds(stored: Value, value: Value): boolean {
  const id = (one: Value) => (one && typeof one === "object" ? (one as Partial<Row>).id : undefined);
  if (id(stored) !== undefined || id(value) !== undefined) return id(stored) === id(value);
  return sameValue(withoutNothing(stored), withoutNothing(value));
}

function withoutNothing(value: Value): Value {
  if (isNothing(value)) return null;
  if (typeof value !== "object" || Array.isArray(value)) return value;
  const parts = Object.entries(value as object).filter(([name, part]) => name !== "__typename" && !isNothing(part));
  return parts.length === 0 ? null : Object.fromEntries(parts);
}

/** What is to be done with a change, by the record as the server holds it. */
function verdict(edit: Edit, row: Row | undefined): "stored" | "open" | "conflict" | "gone" {
  switch (edit.kind) {
    case "create":
    case "restore":
      return row ? "stored" : "open";
    case "delete":
      return row ? "open" : "stored";
    case "update": {
      if (!row) return "gone";
      const stored = row[edit.field!];
      const changes = changedParts(edit);
      const isStored = changes ? holds(pick(stored, changes), pick(edit.value, changes)) : holds(stored, edit.value);
      if (isStored) return "stored";
      const known = [edit.before, ...(edit.tried ?? [])];
      const isKnown = changes
        ? changes.every((part) => known.some((value) => holds(pick(stored, [part]), pick(value, [part]))))
        : known.some((value) => holds(stored, value));
      return isKnown ? "open" : "conflict";
    }
  }
}

/** The parts of a composite value that the person has changed; `undefined` for a value without parts. */
function changedParts({ kind, value, before }: Edit): string[] | undefined {
  const isComposite = (one: Value) => typeof one === "object" && one !== null && !Array.isArray(one) && !("id" in one);
  if (kind !== "update" || !isComposite(value) || !isComposite(before)) return undefined;
  const [now, then] = [partsOf(value), partsOf(before)];
  return Object.keys(now).filter((part) => !holds(now[part], then[part]));
}

const pick = (value: Value, parts: string[]): Value =>
  Object.fromEntries(parts.map((part) => [part, partsOf(value)[part]]));

/** The value to send: the person's own parts on top of what the server holds now, which may have other parts by now. */
function onTop(edit: Edit, row: Row | undefined): Value {
  const changes = changedParts(edit);
  const stored = row && edit.field !== undefined ? row[edit.field] : undefined;
  return changes && stored ? { ...partsOf(stored), ...(pick(edit.value, changes) as object) } : edit.value;
}

function reverseOf(draft: Draft): Draft {
  const { kind, object, id, name } = draft;
  switch (kind) {
    case "update":
      return { ...draft, value: draft.before, before: draft.value };
    case "create":
    case "restore":
      return { kind: "delete", object, id: serverId(id), name, value: null };
    case "delete":
      return { kind: "restore", object, id, name, value: null };
  }
}

const isUnsettled = (edit: Edit) => edit.state === "waiting" || edit.state === "uncertain";

/** Whether the server has certainly not done this. A waiting update is taken back by putting its old value back. */
const isNotDone = ({ kind, state }: Edit) =>
  state === "failed" || state === "conflict" || (state === "waiting" && kind !== "update");

function stateAfter(error: unknown): Exclude<EditState, "sending" | "conflict"> {
  const code = codeOf(error);
  if (code) return STATE_AFTER[code];
  return isAway(error) ? "waiting" : "failed";
}
