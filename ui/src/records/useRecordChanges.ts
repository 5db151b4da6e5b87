/** The changes that a person makes to the records of one object. All go through the edits, so that none is lost. */
import { useMemo } from "react";
import { isTemporary, keyOf, sameValue, temporaryId } from "../data/edits";
import type { Value } from "../data/editing";
import { recordName, type Row } from "../data/fields";
import type { Field, ObjectInfo, Schema } from "../data/metadata";
import { records as words } from "../messages";
import { offerUndo } from "./offerUndo";
import { useWorkspace } from "./workspace";

export interface RecordChanges {
  /** Changes one field of a record. */
  edit: (row: Row, field: Field, value: Value) => void;
  /** Creates a record. Resolves to the server's refusal, if it refused. */
  create: (values: Record<string, Value>) => Promise<{ refusal?: string }>;
  /** Deletes records; those that the server does not have yet are dropped. */
  remove: (rows: readonly Row[]) => Promise<void>;
  /** Takes the last edit of a field back. Returns whether there was one. */
  undo: () => boolean;
}

export function useRecordChanges(object: ObjectInfo, schema: Schema): RecordChanges {
  const { edits } = useWorkspace();
  return useMemo((): RecordChanges => {
    const draftOf = (row: Row) => ({
      object: object.nameSingular,
      id: row.id,
      name: recordName(row, object, schema),
    });
    return {
      edit: (row, field, value) => {
        const before = row[field.name];
        if (sameValue(before, value)) return;
        void edits.submit({ ...draftOf(row), kind: "update", field: field.name, value, before });
      },
      create: async (values) => {
        const draft = { ...draftOf({ ...values, id: temporaryId() }), kind: "create", value: values } as const;
        const outcome = await edits.submit(draft);
        if (outcome !== "failed") {
          const text = outcome === "done" ? words.created : words.createdLater;
          offerUndo(text(object.labelSingular), () => void edits.undo(keyOf(draft)));
          return {};
        }
        // The form shows the refusal, where it can be corrected; the list of unsaved edits would only repeat it.
        const refusal = edits.find(draft)?.message;
        edits.discard(keyOf(draft));
        return { refusal };
      },
      remove: async (rows) => {
        const [unsent, sent] = [rows.filter((row) => isTemporary(row.id)), rows.filter((row) => !isTemporary(row.id))];
        for (const row of unsent) edits.discard(keyOf({ ...draftOf(row), kind: "create" }));
        const deleted = await Promise.all(
          sent.map(async (row) => {
            const draft = { ...draftOf(row), kind: "delete", value: null } as const;
            return { draft, outcome: await edits.submit(draft) };
          }),
        );
        const undone = deleted.filter(({ outcome }) => outcome !== "failed").map(({ draft }) => keyOf(draft));
        if (undone.length === 0) return;
        const isDone = deleted.every(({ outcome }) => outcome === "done");
        const text = (isDone ? words.deleted : words.deletedLater)(
          undone.length,
          object.labelSingular.toLowerCase(),
          object.labelPlural.toLowerCase(),
        );
        offerUndo(text, () => undone.forEach((key) => void edits.undo(key)));
      },
      undo: () => edits.undo() !== undefined,
    };
  }, [edits, object, schema]);
}
