/**
 * How a value is edited: in one box, in a box for each of its parts, or by choosing a record. Only a box whose text was
 * changed changes anything, and only its own part.
 */
import { records as words } from "../messages";
import type { Field } from "./metadata";

export type Value = unknown;
/** The parts of a composite value. */
export type Parts = Record<string, Value>;

/** Editors in which a person types or chooses a text. */
export type TextEditor = "text" | "lines" | "number" | "date" | "datetime" | "boolean" | "select";

/** One box of an editor. */
export interface Box {
  /** The part of a composite field that it edits; absent: the whole value. */
  part?: string;
  /** Stands beside the field's own label where a field has several boxes. */
  label?: string;
  as: TextEditor;
  /** The text with which the box opens. */
  start: (value: Value) => string;
  /** The value of a changed text; `previous` is the stored one. Throws if the text has no value. */
  parse: (typed: string, previous: Value) => Value;
}

export interface Boxes {
  as: "boxes";
  boxes: Box[];
  /** The part whose box has the focus first; absent: the first one. */
  main?: string;
  /** Adds what follows from the changed parts, such as the currency of a first amount. */
  complete?: (changed: Parts, stored: Parts, field: Field) => Parts;
}

export type Editing = Boxes | { as: "relation" };

/** The texts that a person has typed, by box. A box that nobody touched has none. */
export type Typed = Record<string, string>;

export const boxKey = (box: Box): string => box.part ?? "";

/** The text with which a box opens. */
export function startOf(box: Box, value: Value): string {
  return box.start(box.part === undefined ? value : partsOf(value)[box.part]);
}

/** The boxes whose text is another one than that with which they opened. */
export const changedBoxes = (edit: Boxes, typed: Typed, stored: Value): Box[] =>
  edit.boxes.filter((box) => (typed[boxKey(box)] ?? startOf(box, stored)) !== startOf(box, stored));

/** The value after the typed texts. The stored value itself where nothing has changed. Throws for a text without a value. */
export function edited(edit: Boxes, typed: Typed, stored: Value, field: Field): Value {
  const changed = changedBoxes(edit, typed, stored);
  if (changed.length === 0) return stored;
  const text = (box: Box) => typed[boxKey(box)]!;
  const whole = changed.find((box) => box.part === undefined);
  if (whole) {
    const value = whole.parse(text(whole), stored);
    if (field.isNullable === false && isNothing(value)) throw new Error(words.required);
    return value;
  }
  const parts = partsOf(stored);
  const values = Object.fromEntries(changed.map((box) => [box.part!, box.parse(text(box), parts[box.part!])]));
  return { ...parts, ...(edit.complete?.(values, parts, field) ?? values) };
}

/** The parts of a composite value. Apollo Client adds the type's name to each, which the server's inputs refuse. */
export function partsOf(value: Value): Parts {
  if (!value || typeof value !== "object" || Array.isArray(value)) return {};
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== "__typename"));
}

export const isNothing = (value: Value): boolean => value === null || value === undefined || value === "";
