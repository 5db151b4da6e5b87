import type { Box, TextEditor } from "../data/editing";
import type { Field } from "../data/metadata";
import { records as words } from "../messages";

/** The `type` of the input element of each editor that is one. Numbers are typed as text: `1,234` is one. */
export const INPUT_TYPES: Record<Exclude<TextEditor, "boolean" | "select" | "lines">, string> = {
  text: "text",
  number: "text",
  date: "date",
  datetime: "datetime-local",
};

/** What an editor with a list offers. Nothing to clear a field with that must not be empty. */
export function choicesOf(box: Box, field: Field, chosen: string): { value: string; label: string }[] {
  const choices =
    box.as === "boolean"
      ? [
          { value: "true", label: words.yes },
          { value: "false", label: words.no },
        ]
      : (field.options ?? []).map(({ value, label }) => ({ value, label }));
  const mayBeEmpty = field.isNullable !== false || chosen === "";
  return mayBeEmpty ? [{ value: "", label: "" }, ...choices] : choices;
}
