/** The records of one object: head with actions, filters, the table, and the form of one record. */
import { Button, Skeleton, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { IconPlus } from "@tabler/icons-react";
import { useMemo, useRef, useState } from "react";
import { NEW, type RecordDraft } from "../data/drafts";
import { overlay } from "../data/edits";
import { shownFields, type Row } from "../data/fields";
import type { ObjectInfo, Schema } from "../data/metadata";
import type { Condition } from "../data/query";
import { count } from "../format";
import { ariaKey, keys, keyText } from "../keys";
import { records as words } from "../messages";
import { useSession } from "../session/session";
import { ActionMenu, type RecordActions } from "./ActionMenu";
import { copyCell, copyRows } from "./copying";
import { DeleteDialog } from "./DeleteDialog";
import { DraftList } from "./DraftList";
import { FilterButton, FilterChips } from "./FilterBar";
import { NoRecords } from "./NoRecords";
import { PendingEdits } from "./PendingEdits";
import { RecordEditor } from "./RecordEditor";
import { RecordFooter } from "./RecordFooter";
import { RecordGrid, type GridHandle } from "./RecordGrid";
import classes from "./records.module.css";
import { useRecordShortcuts } from "./shortcuts";
import { defaultSort, SortMenu } from "./SortMenu";
import { useOpenedRecord } from "./useOpenedRecord";
import { useRecordChanges } from "./useRecordChanges";
import { useRecords } from "./useRecords";
import { useEditList } from "./workspace";

type Menu = "filter" | "sort";

interface Props {
  object: ObjectInfo;
  schema: Schema;
  /** The id of the record whose form is open, or {@link NEW}. */
  opened: string | undefined;
  onOpened: (id: string | undefined) => void;
  /** Opens the form of a draft, which may be of another object. */
  onDraft: (draft: RecordDraft) => void;
}

export function RecordPage({ object, schema, opened, onOpened, onDraft }: Props) {
  const { status } = useSession();
  const unconfirmed = useEditList();
  const [sort, setSort] = useState(() => defaultSort(object));
  const [conditions, setConditions] = useState<Condition[]>([]);
  const [menu, setMenu] = useState<Menu>();
  const [selection, setSelection] = useState<Row[]>([]);
  const [deleting, setDeleting] = useState<Row[]>();
  const isCreating = opened === NEW;
  const create = () => onOpened(NEW);
  const grid = useRef<GridHandle>(null);
  const records = useRecords(object, sort, conditions);
  const changes = useRecordChanges(object, schema);
  const pending = useMemo(
    () => unconfirmed.filter((edit) => edit.object === object.nameSingular),
    [unconfirmed, object],
  );
  const rows = useMemo(
    () => overlay(records.rows, unconfirmed, object.nameSingular),
    [records.rows, unconfirmed, object],
  );
  const openedRow = useOpenedRecord(isCreating ? undefined : opened, rows, object);

  /** The selected records, or the focused one where none is selected. */
  const targets = (): Row[] => {
    const selected = grid.current?.selected() ?? [];
    const focused = grid.current?.focusedRow();
    return selected.length > 0 ? selected : focused ? [focused] : [];
  };
  const copy = async () => {
    const selected = grid.current?.selected() ?? [];
    const fields = grid.current?.shownFields() ?? shownFields(object);
    const row = grid.current?.focusedRow();
    const field = fields.find((one) => one.name === grid.current?.focusedField());
    if (selected.length > 0) {
      if (await copyRows(selected, fields, schema)) notifications.show({ message: words.copied(selected.length) });
    } else if (row && field && (await copyCell(row, field, schema))) {
      notifications.show({ message: words.copiedCell });
    }
  };
  const actions: RecordActions = {
    open: () => {
      const row = targets()[0];
      if (row) onOpened(row.id);
    },
    editCell: () => grid.current?.editFocused(),
    copy: () => void copy(),
    undo: () => notifications.show({ message: changes.undo() ? words.undone : words.nothingToUndo }),
    remove: () => {
      const chosen = targets();
      if (chosen.length > 0) setDeleting(chosen);
    },
    reload: records.reload,
    resetColumns: () => grid.current?.resetColumns(),
  };
  /** One menu closes when the other opens, and may report it afterwards. */
  const onMenu = (which: Menu) => (isOpen: boolean) =>
    setMenu((now) => (isOpen ? which : now === which ? undefined : now));
  const removeConfirmed = () => {
    setDeleting(undefined);
    grid.current?.clearSelection();
    void changes.remove(deleting ?? []);
  };

  // While the dialog of an ended session covers the page, the keys are the dialog's.
  useRecordShortcuts(status.phase !== "ended", {
    ...actions,
    create,
    filter: () => setMenu("filter"),
    sort: () => setMenu("sort"),
  });

  return (
    <section className={classes.page} aria-label={object.labelPlural}>
      <header className={classes.head}>
        <h1>{object.labelPlural}</h1>
        <Text c="dimmed" data-testid="record-count" aria-live="polite">
          {records.total === undefined ? (
            <Skeleton component="span" display="inline-block" w={40} h={16} />
          ) : (
            count(records.total)
          )}
        </Text>
        <span className={classes.space} />
        <DraftList onOpen={onDraft} />
        <PendingEdits />
        <FilterButton
          object={object}
          opened={menu === "filter"}
          onOpened={onMenu("filter")}
          onAdd={(condition) => setConditions([...conditions, condition])}
        />
        <SortMenu object={object} sort={sort} onSort={setSort} opened={menu === "sort"} onOpened={onMenu("sort")} />
        <Button
          size="compact-sm"
          leftSection={<IconPlus size={16} />}
          onClick={create}
          title={keyText(keys.newRecord)}
          aria-keyshortcuts={ariaKey(keys.newRecord)}
          data-testid="new-record"
        >
          {words.new}
        </Button>
        <ActionMenu actions={actions} />
      </header>
      <FilterChips object={object} conditions={conditions} onChange={setConditions} />
      <div className={classes.body}>
        <RecordGrid
          key={object.id}
          ref={grid}
          object={object}
          schema={schema}
          memory={`columns.${status.server ?? ""}.${object.nameSingular}`}
          rows={rows}
          pending={pending}
          sort={sort}
          onSort={setSort}
          onEdit={changes.edit}
          onSelection={setSelection}
          onOpen={(row) => onOpened(row.id)}
          onNearEnd={records.loadMore}
        />
        {rows.length === 0 && <NoRecords records={records} isFiltered={conditions.length > 0} />}
      </div>
      <RecordFooter
        records={records}
        rowCount={rows.length}
        selectedCount={selection.length}
        onCopy={actions.copy}
        onDelete={actions.remove}
      />
      <RecordEditor
        object={object}
        schema={schema}
        row={openedRow}
        isCreating={isCreating}
        changes={changes}
        onClose={() => onOpened(undefined)}
      />
      <DeleteDialog
        object={object}
        count={deleting?.length}
        onDelete={removeConfirmed}
        onCancel={() => setDeleting(undefined)}
      />
    </section>
  );
}
