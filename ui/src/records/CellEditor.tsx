/** Edits one cell in place. What was typed stays in it when the session ends meanwhile. */
import { useGridCellEditor, type CustomCellEditorProps } from "ag-grid-react";
import { useEffect, useRef, useState } from "react";
import { kindOf, type Editing, type Row, type TextEditor, type Value } from "../data/fields";
import type { Field, FieldOption } from "../data/metadata";
import { records as words } from "../messages";
import { INPUT_TYPES } from "./inputTypes";
import classes from "./records.module.css";
import { RelationPicker } from "./RelationPicker";

export type CellEditorProps = CustomCellEditorProps<Row, Value> & { field: Field };

type TextEditing = Extract<Editing, { as: TextEditor }>;
interface TextCellProps extends CellEditorProps {
  edit: TextEditing;
}

const YES_OR_NO: FieldOption[] = [
  { value: "true", label: words.yes },
  { value: "false", label: words.no },
];

export function CellEditor(props: CellEditorProps) {
  const { field } = props;
  const edit = kindOf(field)?.edit;
  // The table opens no editor for a field that is read only.
  if (!edit) return null;
  switch (edit.as) {
    case "relation":
      return <RelationCell {...props} />;
    case "boolean":
      return <ChoiceCell {...props} edit={edit} options={YES_OR_NO} />;
    case "select":
      return <ChoiceCell {...props} edit={edit} options={field.options ?? []} />;
    case "date":
    case "datetime":
      return <InputCell {...props} edit={edit} type={INPUT_TYPES[edit.as]} />;
    case "text":
      return <InputCell {...props} edit={edit} type={INPUT_TYPES[edit.as]} firstKey={characterOf(props.eventKey)} />;
    case "number":
      return (
        <InputCell
          {...props}
          edit={edit}
          type={INPUT_TYPES[edit.as]}
          inputMode="decimal"
          firstKey={characterOf(props.eventKey)}
        />
      );
  }
}

function RelationCell({ field, value, onValueChange, stopEditing }: CellEditorProps) {
  const input = useRef<HTMLInputElement>(null);
  useFocus(input);
  // A choice completes the edit. The grid must have the value before its editor closes.
  const finish = () => setTimeout(() => stopEditing(), 0);
  return (
    <RelationPicker
      ref={input}
      field={field}
      value={(value as Row | null) ?? null}
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

function ChoiceCell({ options, ...props }: TextCellProps & { options: FieldOption[] }) {
  const select = useRef<HTMLSelectElement>(null);
  const { typed, change } = useTyped(props);
  useFocus(select);
  return (
    <select
      ref={select}
      className={classes.cellInput}
      aria-label={props.field.label}
      data-testid="cell-editor"
      value={typed}
      onChange={(event) => change(event.currentTarget.value)}
    >
      <option value="" />
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </select>
  );
}

interface InputCellProps extends TextCellProps {
  type: string;
  inputMode?: "decimal";
  /** The key that opened the editor: it replaces the present text, as in a spreadsheet. */
  firstKey?: string;
}

function InputCell({ type, inputMode, firstKey, ...props }: InputCellProps) {
  const input = useRef<HTMLInputElement>(null);
  const { typed, isWrong, change } = useTyped(props, firstKey);
  useFocus(input, firstKey === undefined);
  return (
    <input
      ref={input}
      className={classes.cellInput}
      type={type}
      inputMode={inputMode}
      aria-label={props.field.label}
      aria-invalid={isWrong || undefined}
      title={isWrong ? words.notNumber : undefined}
      data-testid="cell-editor"
      value={typed}
      onChange={(event) => change(event.currentTarget.value)}
    />
  );
}

/** The text in an editor. The grid gets the value of each text that has one; any other text is dropped at the end. */
function useTyped({ field, edit, initialValue, onValueChange }: TextCellProps, firstKey?: string) {
  const [typed, setTyped] = useState(() => firstKey ?? edit.start(initialValue, field));
  const [isWrong, setWrong] = useState(false);
  useGridCellEditor({ isCancelAfterEnd: () => isWrong });

  // The first key has not passed through `change`.
  useEffect(() => {
    if (firstKey !== undefined) onValueChange(parsed(edit, firstKey, initialValue)?.value ?? initialValue);
    // Once: every later text passes through `change`.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  const change = (text: string) => {
    const result = parsed(edit, text, initialValue);
    setTyped(text);
    setWrong(!result);
    if (result) onValueChange(result.value);
  };
  return { typed, isWrong, change };
}

/** `undefined` for a text without a value, such as a number of which only the minus sign was typed. */
function parsed(edit: TextEditing, typed: string, previous: Value): { value: Value } | undefined {
  try {
    return { value: edit.parse(typed, previous) };
  } catch {
    return undefined;
  }
}

/** Gives an editor the focus when it opens, with its text selected where typing is to replace it. */
function useFocus(element: { current: HTMLElement | null }, selectsText = true): void {
  const [selects] = useState(selectsText);
  useEffect(() => {
    element.current?.focus();
    if (selects && element.current instanceof HTMLInputElement) element.current.select();
  }, [element, selects]);
}

const characterOf = (key: string | null | undefined) => (key?.length === 1 ? key : undefined);
