/** The form of the opened record, or of a new one. What was typed into it is kept until it is saved or discarded. */
import { useState } from "react";
import { NEW, type DraftFields } from "../data/drafts";
import type { Value } from "../data/editing";
import { recordName, type Row } from "../data/fields";
import type { ObjectInfo, Schema } from "../data/metadata";
import { records as words } from "../messages";
import { RecordForm } from "./RecordForm";
import type { RecordChanges } from "./useRecordChanges";
import { useDraftList, useWorkspace } from "./workspace";

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

export function RecordEditor({ object, schema, row, isCreating, changes, onClose }: Props) {
  const { drafts } = useWorkspace();
  const [refusal, setRefusal] = useState<string>();
  const form = { object: object.nameSingular, id: row?.id ?? NEW };
  const draft = useDraftList().find((one) => one.object === form.object && one.id === form.id);
  const title = row ? recordName(row, object, schema) : words.newRecord(object.labelSingular.toLowerCase());
  const setDraft = (fields: DraftFields) => drafts.keep({ ...form, name: title, fields });

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
    drafts.discard(form);
    close();
  };

  return (
    <RecordForm
      opened={isCreating || row !== undefined}
      title={title}
      object={object}
      schema={schema}
      row={row}
      draft={draft?.fields ?? {}}
      onDraft={setDraft}
      problem={row ? undefined : refusal}
      onSave={save}
      onClose={close}
    />
  );
}
