/** The form of the opened record, or of a new one. It keeps what was typed until that is saved or discarded. */
import { useState } from "react";
import { recordName, type Row, type Value } from "../data/fields";
import type { ObjectInfo, Schema } from "../data/metadata";
import { records as words } from "../messages";
import { RecordForm, type Draft } from "./RecordForm";
import type { RecordChanges } from "./useRecordChanges";

interface Props {
  object: ObjectInfo;
  schema: Schema;
  /** The record to edit. */
  row: Row | undefined;
  /** Shows the form of a new record, where there is none to edit. */
  isCreating: boolean;
  changes: RecordChanges;
  onClose: () => void;
}

/** Stands for the id that a new record does not have yet. */
const NEW = "new";

export function RecordEditor({ object, schema, row, isCreating, changes, onClose }: Props) {
  const [drafts, setDrafts] = useState<Record<string, Draft>>({});
  const [refusal, setRefusal] = useState<string>();
  const id = row?.id ?? NEW;
  const setDraft = (draft: Draft) => setDrafts((old) => ({ ...old, [id]: draft }));

  const close = () => {
    setRefusal(undefined);
    onClose();
  };
  const save = async (changed: Record<string, Value>) => {
    if (row) {
      for (const field of object.fieldsList) if (field.name in changed) changes.edit(row, field, changed[field.name]);
    } else {
      const created = await changes.create(changed);
      setRefusal(created.refusal);
      if (created.refusal !== undefined) return;
    }
    setDraft({});
    close();
  };

  return (
    <RecordForm
      opened={isCreating || row !== undefined}
      title={row ? recordName(row, object, schema) : words.newRecord(object.labelSingular.toLowerCase())}
      object={object}
      schema={schema}
      row={row}
      draft={drafts[id] ?? {}}
      onDraft={setDraft}
      problem={row ? undefined : refusal}
      onSave={save}
      onClose={close}
    />
  );
}
