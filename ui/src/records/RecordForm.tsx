/** The form at the right with all fields of one record: a new one, or one of the table. */
import { Button, Checkbox, Drawer, Group, Kbd, NativeSelect, Stack, Text, TextInput, Alert } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { sameValue } from "../data/edits";
import { fieldText, kindOf, shownFields, type Editing, type Row, type Value } from "../data/fields";
import type { Field, ObjectInfo, Schema } from "../data/metadata";
import { records as words } from "../messages";
import { INPUT_TYPES } from "./inputTypes";
import { RelationPicker } from "./RelationPicker";

/** The unsaved input: the text of each touched field, or the chosen record. */
export type Draft = Record<string, string | Row | null>;

interface Props {
  opened: boolean;
  title: string;
  object: ObjectInfo;
  schema: Schema;
  /** The record to edit; absent for a new one. */
  row?: Row;
  /** Kept outside of the form, so that closing it, or the end of the session, loses no text. */
  draft: Draft;
  onDraft: (draft: Draft) => void;
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
  const [wrong, setWrong] = useState<string>();
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
      try {
        const before = row?.[field.name];
        const value = typeof typed === "string" && edit.as !== "relation" ? edit.parse(typed, before) : typed;
        if (row ? !sameValue(value, before) : !isEmpty(value)) changed[field.name] = value;
      } catch {
        setWrong(field.name);
        return;
      }
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
            onTyped={(typed) => onDraft({ ...draft, [field.name]: typed })}
            error={wrong === field.name ? words.notNumber : undefined}
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
            {words.save}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

interface InputProps {
  field: Field;
  edit: Editing;
  row?: Row;
  typed: string | Row | null | undefined;
  onTyped: (typed: string | Row | null) => void;
  error?: string;
  first: boolean;
}

function FieldInput({ field, edit, row, typed, onTyped, error, first }: InputProps) {
  const stored = row?.[field.name];
  const common = {
    label: field.label,
    error,
    "data-testid": `field-${field.name}`,
    ...(first ? { "data-autofocus": true } : {}),
  };
  if (edit.as === "relation") {
    const chosen = (typed === undefined ? stored : typed) as Row | null | undefined;
    return <RelationPicker {...common} field={field} value={chosen ?? null} onChange={onTyped} />;
  }
  const text = typeof typed === "string" ? typed : edit.start(stored, field);
  switch (edit.as) {
    case "boolean":
      return (
        <Checkbox
          {...common}
          checked={text === "true"}
          onChange={(event) => onTyped(String(event.currentTarget.checked))}
        />
      );
    case "select":
      return (
        <NativeSelect
          {...common}
          data={[{ value: "", label: "" }, ...(field.options ?? []).map(({ value, label }) => ({ value, label }))]}
          value={text}
          onChange={(event) => onTyped(event.currentTarget.value)}
        />
      );
    case "text":
    case "number":
    case "date":
    case "datetime":
      return (
        <TextInput
          {...common}
          type={INPUT_TYPES[edit.as]}
          inputMode={edit.as === "number" ? "decimal" : undefined}
          value={text}
          onChange={(event) => onTyped(event.currentTarget.value)}
        />
      );
  }
}

/** An empty field of a new record is not sent: the server has defaults. */
function isEmpty(value: Value): boolean {
  if (value === null || value === undefined || value === "") return true;
  if (typeof value !== "object" || Array.isArray(value)) return false;
  // A currency without an amount is empty.
  return Object.entries(value).every(
    ([name, part]) => name === "currencyCode" || part === null || part === undefined || part === "",
  );
}
