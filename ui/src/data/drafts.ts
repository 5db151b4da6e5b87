/** What a person has typed into the forms of records and has not saved. */
import type { Typed } from "./editing";
import type { Row } from "./fields";

/** The touched fields of a form: the texts typed into a field's boxes, or the chosen record. */
export type DraftFields = Record<string, { typed?: Typed; chosen?: Row | null }>;

/** Stands for the id of a record that was not saved yet. */
export const NEW = "new";

/** The draft of one form. */
export interface RecordDraft {
  /** Singular name of the object. */
  object: string;
  /** The record's id, or {@link NEW}. */
  id: string;
  /** The record's name, for the list. */
  name: string;
  fields: DraftFields;
}

export class Drafts {
  #drafts: readonly RecordDraft[] = [];
  #listeners = new Set<() => void>();

  /** The same list until something changes, then a new one. */
  all = (): readonly RecordDraft[] => this.#drafts;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Keeps the draft of a form, in place of an earlier one. A draft without fields is dropped. */
  keep(draft: RecordDraft): void {
    const others = this.#drafts.filter((one) => !isOf(one, draft));
    this.#drafts = Object.keys(draft.fields).length > 0 ? [...others, draft] : others;
    this.#tell();
  }

  /** Adds fields to the draft of a form. */
  add(draft: RecordDraft): void {
    const before = this.#drafts.find((one) => isOf(one, draft));
    this.keep({ ...draft, fields: { ...before?.fields, ...draft.fields } });
  }

  discard(draft: Pick<RecordDraft, "object" | "id">): void {
    this.#drafts = this.#drafts.filter((one) => !isOf(one, draft));
    this.#tell();
  }

  /** Adds drafts that were kept from an earlier start; a newer one of the same form stays. */
  adopt(kept: readonly RecordDraft[]): void {
    const added = kept.filter((draft) => !this.#drafts.some((one) => isOf(one, draft)));
    if (added.length === 0) return;
    this.#drafts = [...added, ...this.#drafts];
    this.#tell();
  }

  clear(): void {
    this.#drafts = [];
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

const isOf = (draft: RecordDraft, { object, id }: Pick<RecordDraft, "object" | "id">) =>
  draft.object === object && draft.id === id;
