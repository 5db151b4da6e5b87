import { Popover } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useGridCellEditor, type CustomCellEditorProps } from "ag-grid-react";
import {
  useEffect,
  useId,
  useRef,
  useState,
  type ChangeEvent,
  type KeyboardEvent as ReactKeyboardEvent,
  type ReactNode,
} from "react";
import { boxKey, changedBoxes, edited, startOf, type Box, type Boxes, type Typed, type Value } from "../data/editing";
import { kindOf, recordName, type Row } from "../data/fields";
import type { Field, ObjectInfo, Schema } from "../data/metadata";
import { records as words } from "../messages";
import { choicesOf, INPUT_TYPES } from "./inputTypes";
import classes from "./records.module.css";
import { RelationPicker } from "./RelationPicker";
import { useWorkspace } from "./workspace";

export type CellEditorProps = CustomCellEditorProps<Row, Value> & { object: ObjectInfo; schema: Schema; field: Field };

/** Above the table, below every dialog (200). */
const OVER_TABLE = 150;
/** Most lines that a text area shows over the table. */
const MAX_LINES = 8;
/** Of a text area, in pixels: one line, what surrounds the lines, and the least width for several of them. */
const LINE_HEIGHT = 20;
const LINE_PADDING = 16;
const LINES_WIDTH = 360;

export function CellEditor(props: CellEditorProps) {
  const edit = kindOf(props.field)?.edit;
  // The table opens no editor for a field that is read only.
  if (!edit) return null;
  return edit.as === "relation" ? <RelationCell {...props} /> : <BoxesCell {...props} edit={edit} />;
}

/** Whether the editor of this value needs more room than its cell. */
function needsRoom(edit: Boxes, value: Value): boolean {
  return edit.boxes.length > 1 || edit.boxes.some((box) => box.as === "lines" && startOf(box, value).includes("\n"));
}

/** Whether a key pressed in a cell's editor stays in it, so that the table must not take it: a new line of a text. */
export const staysInEditor = ({ key, shiftKey, target }: KeyboardEvent): boolean =>
  key === "Enter" && shiftKey && target instanceof HTMLTextAreaElement;

function RelationCell({ field, value, onValueChange, stopEditing }: CellEditorProps) {
  const focused = useFocusOnce(true);
  // A choice completes the edit. The grid must have the value before its editor closes.
  const finish = () => setTimeout(() => stopEditing(), 0);
  return (
    <RelationPicker
      ref={focused}
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

function BoxesCell(props: CellEditorProps & { edit: Boxes }) {
  const { field, edit, initialValue, onValueChange, eventKey, column } = props;
  const main = edit.boxes.find((box) => box.part === edit.main) ?? edit.boxes[0]!;
  const replaces = main.as === "lines" || main.as === "text" || main.as === "number";
  // The key that opened the editor replaces the present text, as in a spreadsheet.
  const firstKey = replaces && eventKey?.length === 1 ? eventKey : undefined;
  const [typed, setTyped] = useState<Typed>(() => (firstKey === undefined ? {} : { [boxKey(main)]: firstKey }));
  const result = valueOf(edit, typed, initialValue, field);
  const focused = useFocusOnce(firstKey === undefined);
  const finish = useKeptText(props, edit, typed);
  useGridCellEditor({
    isCancelAfterEnd: () => {
      finish();
      if (result.problem === undefined) return false;
      const text = Object.values(typed).join(" ").trim();
      notifications.show({ message: words.notKept(text, result.problem), color: "red" });
      return true;
    },
  });

  // The grid reads the value when its editor closes. The first key has not passed through `change`.
  useEffect(() => {
    if (firstKey !== undefined && result.problem === undefined) onValueChange(result.value);
    // Once: every later text passes through `change`.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  const input = (box: Box) => (
    <BoxInput
      ref={box === main ? focused : undefined}
      box={box}
      field={field}
      width={needsRoom(edit, initialValue) ? column.getActualWidth() : undefined}
      text={typed[boxKey(box)] ?? startOf(box, initialValue)}
      problem={result.problem}
      testid={box === main ? "cell-editor" : `cell-editor-${boxKey(box)}`}
      onEscape={finish}
      onText={(text) => {
        const next = { ...typed, [boxKey(box)]: text };
        setTyped(next);
        const now = valueOf(edit, next, initialValue, field);
        if (now.problem === undefined) onValueChange(now.value);
      }}
    />
  );
  const boxes =
    edit.boxes.length === 1
      ? input(main)
      : edit.boxes.map((box) => (
          <label key={boxKey(box)}>
            <span>{box.label}</span>
            {input(box)}
          </label>
        ));
  return needsRoom(edit, initialValue) ? <Roomy {...props}>{boxes}</Roomy> : boxes;
}

/**
 * Keeps what is typed while the editor is open, so that a reload, a crash or the end of the application loses none of it.
 * Returns the function to call when the person has completed or cancelled the edit. An editor that goes away without that,
 * with its page or its row, leaves its text as a draft of the record's form.
 */
function useKeptText(
  { object, schema, data, field, initialValue }: CellEditorProps,
  edit: Boxes,
  typed: Typed,
): () => void {
  const { drafts } = useWorkspace();
  const editor = useId();
  const isFinished = useRef(false);
  const isOpen = useRef(false);

  useEffect(() => {
    if (changedBoxes(edit, typed, initialValue).length === 0) return drafts.closeCell(editor);
    const form = { object: object.nameSingular, id: data.id, name: recordName(data, object, schema) };
    drafts.typeInCell(editor, { ...form, fields: { [field.name]: { typed } } });
  }, [drafts, editor, object, schema, data, field, edit, typed, initialValue]);

  useEffect(() => {
    isOpen.current = true;
    return () => {
      isOpen.current = false;
      // Later: the table takes the editor away first, and then hands over the value, which becomes an edit.
      setTimeout(() => {
        // React's strict mode takes every effect away once and brings it back.
        if (isOpen.current) return;
        if (isFinished.current) drafts.closeCell(editor);
        else drafts.leaveCell(editor);
      }, 0);
    };
  }, [drafts, editor]);

  return () => void (isFinished.current = true);
}

/**
 * Boxes that stand over the table. They are no popup of the table's own, which closes by itself when rows change, with half
 * a text in it. The table gets no keys from here.
 */
function Roomy({ api, rowIndex, column, stopEditing, children }: CellEditorProps & { children: ReactNode }) {
  const finish = (event: ReactKeyboardEvent, then: () => void) => {
    event.preventDefault();
    event.stopPropagation();
    api.setFocusedCell(rowIndex, column);
    then();
  };
  const press = (event: ReactKeyboardEvent<HTMLDivElement>) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Escape") finish(event, () => api.stopEditing(true));
    else if (event.key === "Enter" && !event.shiftKey) finish(event, () => stopEditing());
    else if (event.key === "Tab" && isAtEnd(event)) finish(event, () => stopEditing(true));
  };
  return (
    <Popover
      opened
      position="bottom-start"
      zIndex={OVER_TABLE}
      transitionProps={{ duration: 0 }}
      closeOnClickOutside={false}
      closeOnEscape={false}
      shadow="md"
      offset={4}
    >
      <Popover.Target>
        <div className={classes.cellAnchor} />
      </Popover.Target>
      <Popover.Dropdown className={classes.cellBoxes} onKeyDown={press}>
        {children}
      </Popover.Dropdown>
    </Popover>
  );
}

/** Whether Tab would leave the boxes. */
function isAtEnd({ currentTarget, target, shiftKey }: ReactKeyboardEvent<HTMLDivElement>): boolean {
  const boxes = [...currentTarget.querySelectorAll("input, select, textarea")];
  return target === boxes.at(shiftKey ? 0 : -1);
}

interface BoxInputProps {
  ref: ((element: HTMLElement | null) => void) | undefined;
  box: Box;
  field: Field;
  /** Of the column, in pixels, where the box stands over the table and not in its cell. */
  width: number | undefined;
  text: string;
  problem: string | undefined;
  testid: string;
  onEscape: () => void;
  onText: (text: string) => void;
}

function BoxInput({ ref, box, field, width, text, problem, testid, onEscape, onText }: BoxInputProps) {
  const common = {
    ref,
    className: classes.cellInput,
    "aria-label": box.label ? `${field.label}: ${box.label}` : field.label,
    "aria-invalid": problem !== undefined || undefined,
    title: problem ?? box.label,
    "data-testid": testid,
    value: text,
    // Before the table sees the key, and takes the editor away.
    onKeyDownCapture: ({ key, nativeEvent }: ReactKeyboardEvent) => {
      if (key === "Escape" && !nativeEvent.isComposing) onEscape();
    },
    onChange: (event: ChangeEvent<HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>) =>
      onText(event.currentTarget.value),
  };
  switch (box.as) {
    case "boolean":
    case "select":
      return (
        <select {...common}>
          {choicesOf(box, field, text).map(({ value, label }) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      );
    case "lines":
      return (
        <textarea
          {...common}
          rows={1}
          style={width === undefined ? undefined : sizeOf(text, width)}
          // Enter completes the edit; with Shift it begins a line.
          onKeyDown={(event) => event.key === "Enter" && !event.shiftKey && event.preventDefault()}
        />
      );
    case "text":
    case "number":
    case "date":
    case "datetime":
      return <input {...common} type={INPUT_TYPES[box.as]} inputMode={box.as === "number" ? "decimal" : undefined} />;
  }
}

function sizeOf(text: string, width: number) {
  const lines = Math.min(text.split("\n").length, MAX_LINES);
  return { width: lines > 1 ? Math.max(width, LINES_WIDTH) : width, height: lines * LINE_HEIGHT + LINE_PADDING };
}

/** The value of the typed texts; or why they have none, such as a number of which only the minus sign was typed. */
function valueOf(edit: Boxes, typed: Typed, stored: Value, field: Field): { value?: Value; problem?: string } {
  try {
    return { value: edited(edit, typed, stored, field) };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

/** Gives the focus to an editor when it opens, with its text selected where typing is to replace it. */
function useFocusOnce(selectsText: boolean): (element: HTMLElement | null) => void {
  const done = useRef(false);
  return (element) => {
    if (!element || done.current) return;
    done.current = true;
    element.focus();
    if (selectsText && (element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement))
      element.select();
  };
}
