/** What a person has typed into the forms of records, or into a cell of the table, and has not saved. */
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
  /** The text of each open editor in the table. The editor shows it, so it is not in the list. */
  #cells = new Map<string, RecordDraft>();
  #listeners = new Set<() => void>();

  /** The same list until something changes, then a new one. */
  all = (): readonly RecordDraft[] => this.#drafts;

  /** All that would be lost with this window: the drafts, with the texts of open editors as drafts of their forms. */
  toKeep(): readonly RecordDraft[] {
    return [...this.#cells.values()].reduce(withFieldsOf, this.#drafts);
  }

  hasAny = (): boolean => this.#drafts.length > 0 || this.#cells.size > 0;

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
    this.#drafts = withFieldsOf(this.#drafts, draft);
    this.#tell();
  }

  /** Keeps what is typed into an editor of the table while it is open. */
  typeInCell(editor: string, draft: RecordDraft): void {
    this.#cells.set(editor, draft);
    this.#tell();
  }

  /** The edit was completed or cancelled. */
  closeCell(editor: string): void {
    if (this.#cells.delete(editor)) this.#tell();
  }

  /** The editor was taken away before its edit was completed: its text becomes a draft of the record's form. */
  leaveCell(editor: string): void {
    const draft = this.#cells.get(editor);
    this.#cells.delete(editor);
    if (draft) this.add(draft);
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
    this.#cells.clear();
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The list with these fields in the draft of their form. */
function withFieldsOf(drafts: readonly RecordDraft[], draft: RecordDraft): readonly RecordDraft[] {
  const before = drafts.find((one) => isOf(one, draft));
  const others = drafts.filter((one) => one !== before);
  return [...others, { ...draft, fields: { ...before?.fields, ...draft.fields } }];
}

const isOf = (draft: RecordDraft, { object, id }: Pick<RecordDraft, "object" | "id">) =>
  draft.object === object && draft.id === id;
