/** The keys of a page with records. */
import { useHotkeys } from "@mantine/hooks";
import { keys } from "../keys";
import type { RecordActions } from "./ActionMenu";

interface Shortcuts extends Pick<RecordActions, "open" | "copy" | "undo" | "remove"> {
  create: () => void;
  filter: () => void;
  sort: () => void;
}

/** Listens to the keys while `isActive`. */
export function useRecordShortcuts(isActive: boolean, shortcuts: Shortcuts): void {
  const { create, filter, sort, remove, undo, copy, open } = shortcuts;
  useHotkeys(
    isActive
      ? [
          [keys.newRecord, create],
          [keys.filter, filter],
          [keys.sort, sort],
          [keys.delete, unlessInText(remove), LEFT_TO_TEXT],
          [keys.undo, unlessInText(undo), LEFT_TO_TEXT],
          [keys.copy, unlessInText(copy), LEFT_TO_TEXT],
          [keys.open, unlessInText(open), LEFT_TO_TEXT],
        ]
      : [],
    // Also while a text field has the focus.
    [],
  );
}

/** These keys have a meaning of their own in a text field and in a selected text. */
const LEFT_TO_TEXT = { preventDefault: false };

function unlessInText(action: () => void): (event: KeyboardEvent) => void {
  return (event) => {
    const element = event.target instanceof HTMLElement ? event.target : undefined;
    const isTyping = element?.matches("input:not([type=checkbox]), textarea, select, [contenteditable=true]");
    if (isTyping || element?.closest("[role=dialog]") || window.getSelection()?.toString()) return;
    event.preventDefault();
    action();
  };
}
