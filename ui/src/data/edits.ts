/**
 * Every change that a person makes goes through here, so that none is lost: a change that can't be sent now waits and
 * is sent later; a change whose answer was lost is shown as uncertain and is never sent again automatically.
 */
import type { Code } from "../host";
import { codeOf, errorText } from "../errorText";
import type { Row, Value } from "./fields";

export type EditState = "sending" | "waiting" | "uncertain" | "failed";

/** One change that has not been confirmed by the server. */
export interface Edit {
  key: string;
  kind: "update" | "create" | "delete";
  /** Singular name of the object. */
  object: string;
  /** The record's id. A new record has a temporary one. */
  id: string;
  /** The field of an update. */
  field?: string;
  /** The new value of the field, or the new record's values. */
  value: Value;
  /** The field's value before the edit. */
  before?: Value;
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

export type Draft = Omit<Edit, "key" | "state" | "message">;
export type Outcome = "done" | EditState;
export type Send = (edit: Edit) => Promise<Row | undefined>;

/**
 * The state of a change after its call failed with this code: `waiting` if it did not reach the server or was refused as
 * a whole, so that it can be sent again; `uncertain` if the server may have executed it.
 */
const STATE_AFTER: Record<Code, Exclude<EditState, "sending">> = {
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
  too_large: "failed",
  upload_broken: "failed",
  invalid_request: "failed",
  wrong_password: "failed",
  unknown_user: "failed",
  second_factor_required: "failed",
  sign_in_refused: "failed",
  invalid_address: "failed",
  not_this_server: "failed",
  config: "failed",
  internal: "failed",
};
/** Most edits that can be undone. */
const UNDO_KEPT = 100;

interface Done {
  object: string;
  id: string;
  field: string;
  before: Value;
  after: Value;
  name: string;
}

export class Edits {
  #edits: readonly Edit[] = [];
  #done: Done[] = [];
  #listeners = new Set<() => void>();
  #sentListeners = new Set<(sent: Sent) => void>();
  #send: Send;
  #epoch = 0;
  #flushing = false;

  constructor(send: Send) {
    this.#send = send;
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

  /** Sends a change, or keeps it waiting. Never rejects: the outcome says which. */
  async submit(draft: Draft): Promise<Outcome> {
    const key = keyOf(draft);
    const earlier = this.#find(key);
    // A second edit of a cell keeps the server's value as `before`: going back to that value drops the edit.
    const before = earlier && earlier.state !== "sending" ? earlier.before : draft.before;
    const edit: Edit = { ...draft, before, key, state: "sending" };
    if (draft.kind === "update")
      this.#remember({ ...draft, field: draft.field!, before: draft.before, after: draft.value });
    if (earlier?.state === "waiting" && draft.kind === "update" && sameValue(before, draft.value)) {
      this.discard(key);
      return "done";
    }
    this.#put(edit);
    if (earlier?.state === "sending") return "sending";
    return this.#deliver(edit);
  }

  /** Sends the waiting changes in the order in which they were made. */
  async flush(): Promise<void> {
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      await this.#flushAll();
    } finally {
      this.#flushing = false;
    }
  }

  async #flushAll(): Promise<void> {
    const epoch = this.#epoch;
    for (const { key } of this.#edits.filter((edit) => edit.state === "waiting")) {
      const edit = this.#find(key);
      if (!edit || edit.state !== "waiting" || epoch !== this.#epoch) continue;
      const outcome = await this.retry(key);
      // The others would fail in the same way.
      if (outcome === "waiting") return;
    }
  }

  /** Sends one change again, at a person's request. */
  async retry(key: string): Promise<Outcome> {
    const edit = this.#find(key);
    if (!edit || edit.state === "sending") return edit ? "sending" : "done";
    const again: Edit = { ...edit, state: "sending", message: undefined };
    this.#put(again);
    return this.#deliver(again);
  }

  discard(key: string): void {
    this.#edits = this.#edits.filter((edit) => edit.key !== key);
    this.#tell();
  }

  /** Drops everything: the session now belongs to another person. */
  clear(): void {
    this.#epoch += 1;
    this.#edits = [];
    this.#done = [];
    this.#tell();
  }

  /** Undoes the last edit of a cell; `undefined` where there is none. */
  undo(): Promise<Outcome> | undefined {
    const last = this.#done.pop();
    if (!last) return undefined;
    const result = this.submit({
      kind: "update",
      object: last.object,
      id: last.id,
      field: last.field,
      value: last.before,
      before: last.after,
      name: last.name,
    });
    this.#done.pop();
    return result;
  }

  /** How many changes are neither confirmed nor being sent. */
  get unsaved(): number {
    return this.#edits.filter((edit) => edit.state !== "sending").length;
  }

  async #deliver(edit: Edit): Promise<Outcome> {
    const epoch = this.#epoch;
    try {
      const row = await this.#send(edit);
      if (epoch !== this.#epoch) return "done";
      const now = this.#find(edit.key);
      if (now && now !== edit && now.kind === "update" && !sameValue(now.value, edit.value)) {
        // The cell was edited again meanwhile: the newer value is sent next.
        for (const listener of this.#sentListeners) listener({ edit, row });
        return await this.#deliver(now);
      }
      this.#edits = this.#edits.filter((other) => other.key !== edit.key);
      for (const listener of this.#sentListeners) listener({ edit, row });
      this.#tell();
      return "done";
    } catch (error) {
      if (epoch !== this.#epoch) return "done";
      const code = codeOf(error);
      const state = code ? STATE_AFTER[code] : "failed";
      const now = this.#find(edit.key) ?? edit;
      this.#put({ ...now, state, message: errorText(error) });
      return state;
    }
  }

  #find(key: string): Edit | undefined {
    return this.#edits.find((edit) => edit.key === key);
  }

  #put(edit: Edit): void {
    const at = this.#edits.findIndex((other) => other.key === edit.key);
    this.#edits = at < 0 ? [...this.#edits, edit] : this.#edits.with(at, edit);
    this.#tell();
  }

  #remember(done: Done): void {
    this.#done.push(done);
    if (this.#done.length > UNDO_KEPT) this.#done.shift();
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

/** The beginning of the ids of records that the server does not have yet. */
const TEMPORARY = "new:";

export const temporaryId = (): string => `${TEMPORARY}${crypto.randomUUID()}`;

export const isTemporary = (id: string): boolean => id.startsWith(TEMPORARY);

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
