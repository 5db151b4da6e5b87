import type { TextEditor } from "../data/fields";

/** The `type` of the input element of each editor that is one. Numbers are typed as text: `1,234` is one. */
export const INPUT_TYPES: Record<Exclude<TextEditor, "boolean" | "select">, string> = {
  text: "text",
  number: "text",
  date: "date",
  datetime: "datetime-local",
};
