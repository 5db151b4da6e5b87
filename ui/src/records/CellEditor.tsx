/** Edits one cell in place. The text stays in it whatever happens to the session meanwhile. */
import { useGridCellEditor, type CustomCellEditorProps } from "ag-grid-react";
import { useEffect, useRef, useState } from "react";
import { editorText, kindOf, type Row, type Value } from "../data/fields";
import type { Field } from "../data/metadata";
import { records as words } from "../messages";
import classes from "./records.module.css";
import { RelationPicker } from "./RelationPicker";

export type CellEditorProps = CustomCellEditorProps<Row, Value> & { field: Field };

const INPUT_TYPES = { text: "text", number: "text", date: "date", datetime: "datetime-local" } as const;

export function CellEditor(props: CellEditorProps) {
  const { field, initialValue, eventKey, onValueChange } = props;
  const kind = kindOf(field);
  const editor = kind?.editor ?? "text";
  const [typed, setTyped] = useState(() => startText(editorText(initialValue, field), editor, eventKey));
  const [wrong, setWrong] = useState(false);
  const input = useRef<HTMLInputElement & HTMLSelectElement>(null);

  const change = (text: string) => {
    setTyped(text);
    try {
      onValueChange(kind?.parse ? kind.parse(text, initialValue) : text);
      setWrong(false);
    } catch {
      setWrong(true);
    }
  };

  // The first key replaces what stood there, as in a spreadsheet; the grid learns of it like of any later key.
  const [first] = useState(typed);
  useEffect(() => {
    input.current?.focus();
    if (first === editorText(initialValue, field)) input.current?.select?.();
    else onValueChange(parsed(first, field, initialValue) ?? initialValue);
    // Once: later values come from typing.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  useGridCellEditor({ isCancelAfterEnd: () => wrong });

  if (editor === "relation") {
    // A choice is the whole edit; the grid has to have heard of it before it closes the editor.
    const finish = () => setTimeout(() => props.stopEditing(), 0);
    return (
      <RelationPicker
        ref={input}
        field={field}
        value={(props.value as Row | null) ?? null}
        onChange={(row) => {
          onValueChange(row);
          if (!row) finish();
        }}
        onOptionSubmit={finish}
        variant="unstyled"
        className={classes.cellPicker}
        aria-label={field.label}
        defaultDropdownOpened
        data-testid="cell-editor"
      />
    );
  }

  if (editor === "select" || editor === "boolean") {
    const options =
      editor === "boolean"
        ? [
            { value: "true", label: words.yes },
            { value: "false", label: words.no },
          ]
        : (field.options ?? []);
    return (
      <select
        ref={input}
        className={classes.cellInput}
        aria-label={field.label}
        data-testid="cell-editor"
        value={typed}
        onChange={(event) => change(event.currentTarget.value)}
      >
        <option value="" />
        {options.map((one) => (
          <option key={one.value} value={one.value}>
            {one.label}
          </option>
        ))}
      </select>
    );
  }

  return (
    <input
      ref={input}
      className={classes.cellInput}
      type={INPUT_TYPES[editor]}
      inputMode={editor === "number" ? "decimal" : undefined}
      aria-label={field.label}
      aria-invalid={wrong || undefined}
      title={wrong ? words.notNumber : undefined}
      data-testid="cell-editor"
      value={typed}
      onChange={(event) => change(event.currentTarget.value)}
    />
  );
}

/** `undefined` for a number that is not one yet, such as a lone minus sign. */
function parsed(typed: string, field: Field, previous: Value): Value {
  try {
    return kindOf(field)?.parse?.(typed, previous) ?? typed;
  } catch {
    return undefined;
  }
}

function startText(present: string, editor: string, eventKey: string | null | undefined): string {
  const replaces = editor === "text" || editor === "number";
  return replaces && eventKey && eventKey.length === 1 ? eventKey : present;
}
