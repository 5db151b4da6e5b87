/** The form at the right with all fields of one record: a new one, or one of the table. */
import {
  Alert,
  Button,
  Checkbox,
  Drawer,
  Group,
  Kbd,
  NativeSelect,
  Stack,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useState, type ChangeEvent, type FormEvent } from "react";
import type { DraftFields } from "../data/drafts";
import { boxKey, edited, isNothing, startOf, type Box, type Boxes, type Editing, type Value } from "../data/editing";
import { sameValue } from "../data/edits";
import { fieldText, kindOf, shownFields, type Row } from "../data/fields";
import type { Field, ObjectInfo, Schema } from "../data/metadata";
import { records as words } from "../messages";
import { choicesOf, INPUT_TYPES } from "./inputTypes";
import classes from "./records.module.css";
import { RelationPicker } from "./RelationPicker";

/** Most lines of a text before its box scrolls. */
const MAX_LINES = 12;

interface Props {
  opened: boolean;
  title: string;
  object: ObjectInfo;
  schema: Schema;
  /** The record to edit; absent for a new one. */
  row?: Row;
  /** Kept outside of the form, so that closing it, or the end of the session, loses no text. */
  draft: DraftFields;
  onDraft: (draft: DraftFields) => void;
  problem?: string;
  onSave: (changed: Record<string, Value>) => Promise<void>;
  onClose: () => void;
}

export function RecordForm({ opened, title, object, schema, row, draft, onDraft, problem, onSave, onClose }: Props) {
  return (
    <Drawer
      opened={opened}
      onClose={onClose}
      position="right"
      size={400}
      title={title}
      closeButtonProps={{ "aria-label": words.close }}
      transitionProps={{ duration: 120 }}
      overlayProps={{ backgroundOpacity: 0.15 }}
      data-testid="record-form"
    >
      {opened && (
        <Fields
          object={object}
          schema={schema}
          row={row}
          draft={draft}
          onDraft={onDraft}
          problem={problem}
          onSave={onSave}
          onClose={onClose}
        />
      )}
    </Drawer>
  );
}

function Fields({ object, schema, row, draft, onDraft, problem, onSave, onClose }: Omit<Props, "opened" | "title">) {
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<{ field: string; text: string }>();
  const [asksEmpty, setAsksEmpty] = useState(false);
  const fields = shownFields(object);
  const editable = fields.flatMap((field) => {
    const edit = kindOf(field)?.edit;
    return edit ? [{ field, edit }] : [];
  });
  const readOnly = fields.filter((field) => !kindOf(field)?.edit);
  const touched = Object.keys(draft).length > 0;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const changed: Record<string, Value> = {};
    for (const { field, edit } of editable) {
      const typed = draft[field.name];
      if (typed === undefined) continue;
      const before = row?.[field.name];
      try {
        const value = edit.as === "relation" ? typed.chosen : edited(edit, typed.typed ?? {}, before, field);
        if (row ? !sameValue(value, before) : !isEmpty(value)) changed[field.name] = value;
      } catch (error) {
        setWrong({ field: field.name, text: (error as Error).message });
        return;
      }
    }
    if (!row && Object.keys(changed).length === 0 && !asksEmpty) {
      setWrong(undefined);
      setAsksEmpty(true);
      return;
    }
    setWrong(undefined);
    setBusy(true);
    await onSave(changed);
    setBusy(false);
  };

  return (
    <form onSubmit={(event) => void submit(event)}>
      <Stack gap="sm">
        {problem && (
          <Alert color="red" variant="light" role="alert" data-testid="record-form-error">
            {problem}
          </Alert>
        )}
        {editable.map(({ field, edit }, index) => (
          <FieldInput
            key={field.name}
            field={field}
            edit={edit}
            row={row}
            typed={draft[field.name]}
            onTyped={(typed) => {
              setAsksEmpty(false);
              onDraft({ ...draft, [field.name]: typed });
            }}
            error={wrong?.field === field.name ? wrong.text : undefined}
            first={index === 0}
          />
        ))}
        {row &&
          readOnly.map((field) => (
            <div key={field.name}>
              <Text size="sm" c="dimmed">
                {field.label}
              </Text>
              <Text size="sm">{fieldText(row, field, schema) || "–"}</Text>
            </div>
          ))}
        {touched && (
          <Text size="sm" c="dimmed">
            {words.draftKept}
          </Text>
        )}
        {asksEmpty && (
          <Alert color="yellow" variant="light" role="alert" data-testid="record-form-empty">
            {words.nothingFilledIn}
          </Alert>
        )}
        <Group justify="flex-end" py="sm">
          {touched && (
            <Button
              variant="subtle"
              onClick={() => {
                onDraft({});
                onClose();
              }}
            >
              {words.discard}
            </Button>
          )}
          <Button type="submit" loading={busy} rightSection={<Kbd size="xs">Enter</Kbd>} data-testid="record-save">
            {asksEmpty ? words.createEmpty : words.save}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

interface InputProps<Edit extends Editing = Editing> {
  field: Field;
  edit: Edit;
  row?: Row;
  typed: DraftFields[string] | undefined;
  onTyped: (typed: DraftFields[string]) => void;
  error?: string;
  first: boolean;
}

function FieldInput({ edit, ...props }: InputProps) {
  if (edit.as === "boxes") return <BoxInputs {...props} edit={edit} />;
  const { field, row, typed, onTyped, error, first } = props;
  const chosen = typed === undefined ? (row?.[field.name] as Row | null | undefined) : typed.chosen;
  return (
    <RelationPicker
      label={field.label}
      error={error}
      data-testid={`field-${field.name}`}
      data-autofocus={first || undefined}
      field={field}
      value={chosen ?? null}
      onChange={(chosen) => onTyped({ chosen })}
    />
  );
}

/** One box, or a box for each part below the field's label. */
function BoxInputs({ field, edit, row, typed, onTyped, error, first }: InputProps<Boxes>) {
  const texts = typed?.typed ?? {};
  const input = (box: Box, index: number) => (
    <BoxInput
      key={boxKey(box)}
      box={box}
      field={field}
      text={texts[boxKey(box)] ?? startOf(box, row?.[field.name])}
      label={box.label ?? field.label}
      error={index === 0 ? error : undefined}
      first={first && index === 0}
      testid={index === 0 ? `field-${field.name}` : `field-${field.name}-${boxKey(box)}`}
      onText={(text) => onTyped({ typed: { ...texts, [boxKey(box)]: text } })}
    />
  );
  if (edit.boxes.length === 1) return input(edit.boxes[0]!, 0);
  return (
    <fieldset className={classes.boxes}>
      <legend>{field.label}</legend>
      {edit.boxes.map(input)}
    </fieldset>
  );
}

interface BoxInputProps {
  box: Box;
  field: Field;
  text: string;
  label: string;
  error?: string;
  first: boolean;
  testid: string;
  onText: (text: string) => void;
}

function BoxInput({ box, field, text, label, error, first, testid, onText }: BoxInputProps) {
  const common = {
    label,
    error,
    "data-testid": testid,
    ...(first ? { "data-autofocus": true } : {}),
    onChange: (event: ChangeEvent<HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>) =>
      onText(event.currentTarget.value),
  };
  switch (box.as) {
    case "boolean":
      return (
        <Checkbox
          {...common}
          checked={text === "true"}
          onChange={(event) => onText(String(event.currentTarget.checked))}
        />
      );
    case "select":
      return <NativeSelect {...common} data={choicesOf(box, field, text)} value={text} />;
    case "lines":
      return (
        <Textarea
          {...common}
          rows={Math.min(text.split("\n").length, MAX_LINES)}
          value={text}
          // As in the table: Enter saves, and with Shift it begins a line.
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
            event.preventDefault();
            event.currentTarget.form?.requestSubmit();
          }}
        />
      );
    case "text":
    case "number":
    case "date":
    case "datetime":
      return (
        <TextInput
          {...common}
          type={INPUT_TYPES[box.as]}
          inputMode={box.as === "number" ? "decimal" : undefined}
          value={text}
        />
      );
  }
}

/** An empty field of a new record is not sent: the server has defaults. */
function isEmpty(value: Value): boolean {
  if (isNothing(value)) return true;
  if (!value || typeof value !== "object" || Array.isArray(value)) return false;
  // A currency without an amount is empty.
  return Object.entries(value).every(([name, part]) => name === "currencyCode" || isNothing(part));
}
