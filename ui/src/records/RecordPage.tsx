/** One object's records: head with actions, filters, the table, and how much of it is loaded. */
import { Button, Group, Kbd, Menu, Modal, Skeleton, Text, ActionIcon, VisuallyHidden } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { IconArrowsSort, IconDots, IconPlus } from "@tabler/icons-react";
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { overlay, sameValue, type Edit } from "../data/edits";
import { fieldText, kindOf, recordName, shownFields, type Row, type Value } from "../data/fields";
import type { Field, ObjectInfo, Schema } from "../data/metadata";
import { canSort, oneOf, type Condition, type Sort } from "../data/query";
import { errorText } from "../errorText";
import { count } from "../format";
import { ariaKey, keys, keyText } from "../keys";
import { records as words } from "../messages";
import { useSession } from "../session/session";
import { copyText } from "./copy";
import { FilterButton, FilterChips } from "./FilterBar";
import { PendingEdits } from "./PendingEdits";
import { RecordForm, type Draft } from "./RecordForm";
import { RecordGrid, TEMPORARY, type GridHandle } from "./RecordGrid";
import classes from "./records.module.css";
import { useRecords } from "./useRecords";
import { useEditList, useWorkspace } from "./workspace";

interface Props {
  object: ObjectInfo;
  schema: Schema;
  /** Opens this record at once: chosen in the palette. */
  opened?: string;
  onOpened: (id: string | undefined) => void;
}

export function RecordPage({ object, schema, opened, onOpened }: Props) {
  const { status } = useSession();
  const { edits } = useWorkspace();
  const all = useEditList();
  const [sort, setSort] = useState<Sort | undefined>(() => newestFirst(object));
  const [conditions, setConditions] = useState<Condition[]>([]);
  const [filtering, setFiltering] = useState(false);
  const [sorting, setSorting] = useState(false);
  const [selection, setSelection] = useState<Row[]>([]);
  const [deleting, setDeleting] = useState<Row[]>();
  const [creating, setCreating] = useState(false);
  const [drafts, setDrafts] = useState<Record<string, Draft>>({});
  const [problem, setProblem] = useState<string>();
  const grid = useRef<GridHandle>(null);
  const records = useRecords(object, sort, conditions);
  const pending = useMemo(() => all.filter((edit) => edit.object === object.nameSingular), [all, object]);
  const rows = useMemo(() => overlay(records.rows, all, object.nameSingular), [records.rows, all, object]);
  const opening = useOpened(opened, rows, object);

  const edit = useCallback(
    (row: Row, field: Field, value: Value) => {
      const before = row[field.name];
      if (sameValue(before, value)) return;
      void edits.submit({
        kind: "update",
        object: object.nameSingular,
        id: row.id,
        field: field.name,
        value,
        before,
        name: recordName(row, object, schema),
      });
    },
    [edits, object, schema],
  );

  const create = async (values: Record<string, Value>) => {
    const id = `${TEMPORARY}${crypto.randomUUID()}`;
    const outcome = await edits.submit({
      kind: "create",
      object: object.nameSingular,
      id,
      value: values,
      name: recordName({ ...values, id }, object, schema),
    });
    if (outcome === "failed") {
      // The form is the better place to mend it than a list of failures.
      const failed = edits.all().find((one) => one.id === id);
      setProblem(failed?.message);
      edits.discard(`${object.nameSingular}:${id}:create`);
      return;
    }
    setProblem(undefined);
    setDrafts((old) => ({ ...old, new: {} }));
    setCreating(false);
  };

  const remove = async (targets: Row[]) => {
    setDeleting(undefined);
    grid.current?.clearSelection();
    await Promise.all(
      targets.map((row) =>
        row.id.startsWith(TEMPORARY)
          ? edits.discard(`${object.nameSingular}:${row.id}:create`)
          : edits.submit({
              kind: "delete",
              object: object.nameSingular,
              id: row.id,
              value: null,
              name: recordName(row, object, schema),
            }),
      ),
    );
  };

  const targets = () => {
    const chosen = grid.current?.selected() ?? [];
    const focused = grid.current?.focusedRow();
    return chosen.length > 0 ? chosen : focused ? [focused] : [];
  };
  const askDelete = () => {
    const chosen = targets();
    if (chosen.length > 0) setDeleting(chosen);
  };
  const openFocused = () => {
    const row = targets()[0];
    if (row) onOpened(row.id);
  };
  const copy = async () => {
    const chosen = grid.current?.selected() ?? [];
    const fields = grid.current?.shownFields() ?? shownFields(object);
    const focused = grid.current?.focusedRow();
    const field = fields.find((one) => one.name === grid.current?.focusedField());
    if (chosen.length > 0) {
      const lines = chosen.map((row) =>
        fields.map((one) => fieldText(row, one, schema).replaceAll(/[\t\n]/g, " ")).join("\t"),
      );
      if (await copyText(lines.join("\n"))) notifications.show({ message: words.copied(chosen.length) });
    } else if (focused && field && (await copyText(fieldText(focused, field, schema)))) {
      notifications.show({ message: words.copiedCell });
    }
  };
  const undo = () => {
    const undone = edits.undo();
    notifications.show({ message: undone ? words.undone : words.nothingToUndo });
  };
  const check = async (uncertain: Edit) => {
    // The person decides after looking: the mark goes, what the server holds is shown.
    edits.discard(uncertain.key);
    if (uncertain.kind === "update" && uncertain.object === object.nameSingular) {
      await records
        .refreshOne(uncertain.id)
        .catch((error: unknown) => notifications.show({ message: errorText(error), color: "red" }));
    } else records.reload();
  };

  // Over the ended dialog and in texts, keys mean what they mean there.
  const live = status.phase !== "ended";
  useHotkeys(
    live
      ? [
          [keys.newRecord, () => setCreating(true)],
          [keys.filter, () => setFiltering(true)],
          [keys.sort, () => setSorting(true)],
        ]
      : [],
    [],
  );
  useHotkeys(
    live
      ? [
          [keys.delete, (event) => unlessTyping(event, askDelete), LEFT_TO_TEXT],
          [keys.undo, (event) => unlessTyping(event, undo), LEFT_TO_TEXT],
          [keys.copy, (event) => unlessTyping(event, () => void copy()), LEFT_TO_TEXT],
          [keys.open, (event) => unlessTyping(event, openFocused), LEFT_TO_TEXT],
        ]
      : [],
    [],
  );

  const loaded = records.total === undefined ? words.loading : words.loaded(records.rows.length, records.total);
  const draftKey = opening?.id ?? "new";
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
        <PendingEdits onCheck={(one) => void check(one)} />
        <FilterButton
          object={object}
          opened={filtering}
          onOpened={setFiltering}
          onAdd={(one) => setConditions([...conditions, one])}
        />
        <SortMenu object={object} sort={sort} onSort={setSort} opened={sorting} onOpened={setSorting} />
        <Button
          size="compact-sm"
          leftSection={<IconPlus size={16} />}
          onClick={() => setCreating(true)}
          title={keyText(keys.newRecord)}
          aria-keyshortcuts={ariaKey(keys.newRecord)}
          data-testid="new-record"
        >
          {words.new}
        </Button>
        <Menu position="bottom-end" width={248}>
          <Menu.Target>
            <ActionIcon variant="default" size={26} aria-label={words.more} data-testid="more-actions">
              <IconDots size={16} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Item label={words.open} shortcut={keys.open} onClick={openFocused} />
            <Item label={words.edit} shortcut={keys.edit} onClick={() => grid.current?.editFocused()} />
            <Item label={words.copy} shortcut={keys.copy} onClick={() => void copy()} />
            <Item label={words.undo} shortcut={keys.undo} onClick={undo} testid="undo" />
            <Item label={words.delete} shortcut={keys.delete} onClick={askDelete} testid="delete-record" color="red" />
            <Menu.Divider />
            <Item label={words.reload} onClick={records.reload} />
            <Item label={words.resetColumns} onClick={() => grid.current?.resetColumns()} />
          </Menu.Dropdown>
        </Menu>
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
          onEdit={edit}
          onSelection={setSelection}
          onOpen={(row) => onOpened(row.id)}
          onNearEnd={records.loadMore}
        />
        {rows.length === 0 && <Over>{emptyView(records, conditions)}</Over>}
      </div>
      <footer className={classes.foot}>
        <span data-testid="loaded" role="status">
          {loaded}
        </span>
        {records.more === "loading" && <span>{words.loading}</span>}
        {(records.more === "failed" || (records.state === "failed" && rows.length > 0)) && (
          <Group gap={8} c="var(--mantine-color-error)">
            {words.moreFailed}
            <Button
              size="compact-xs"
              variant="default"
              onClick={records.more === "failed" ? records.loadMore : records.reload}
            >
              {words.tryAgain}
            </Button>
          </Group>
        )}
        <span className={classes.space} />
        {selection.length > 0 && (
          <>
            <span>{words.selected(selection.length)}</span>
            <Button size="compact-xs" variant="default" onClick={() => void copy()}>
              {words.copy}
            </Button>
            <Button size="compact-xs" variant="default" c="var(--mantine-color-error)" onClick={askDelete}>
              {words.delete}
            </Button>
          </>
        )}
      </footer>

      <RecordForm
        opened={creating || opening !== undefined}
        title={opening ? recordName(opening, object, schema) : words.newRecord(object.labelSingular.toLowerCase())}
        object={object}
        schema={schema}
        row={opening}
        draft={drafts[draftKey] ?? {}}
        onDraft={(draft) => setDrafts((old) => ({ ...old, [draftKey]: draft }))}
        problem={opening ? undefined : problem}
        onSave={async (changed) => {
          if (!opening) return create(changed);
          for (const [name, value] of Object.entries(changed))
            edit(
              opening,
              object.fieldsList.find((field) => field.name === name)!,
              value,
            );
          setDrafts((old) => ({ ...old, [draftKey]: {} }));
          onOpened(undefined);
        }}
        onClose={() => {
          setCreating(false);
          setProblem(undefined);
          onOpened(undefined);
        }}
      />
      <Modal
        opened={deleting !== undefined}
        onClose={() => setDeleting(undefined)}
        title={words.deleteTitle(
          deleting?.length ?? 0,
          object.labelSingular.toLowerCase(),
          object.labelPlural.toLowerCase(),
        )}
        closeButtonProps={{ "aria-label": words.close }}
        centered
        transitionProps={{ duration: 0 }}
      >
        <Text>{words.deleteText}</Text>
        <Group justify="flex-end" mt="md">
          <Button variant="default" onClick={() => setDeleting(undefined)}>
            {words.cancel}
          </Button>
          <Button color="red.9" data-autofocus onClick={() => void remove(deleting ?? [])} data-testid="delete-confirm">
            {words.delete}
          </Button>
        </Group>
      </Modal>
    </section>
  );
}

/** A record opened from the palette may not be among the loaded rows: it is read by itself. */
function useOpened(id: string | undefined, rows: readonly Row[], object: ObjectInfo): Row | undefined {
  const { client, schema } = useWorkspace();
  const [fetched, setFetched] = useState<Row>();
  const loaded = id === undefined ? undefined : rows.find((row) => row.id === id);
  const missing = id !== undefined && !loaded;
  useEffect(() => {
    if (!missing || !schema) return;
    let stale = false;
    const { query, variables } = oneOf(object, schema, id);
    client.query({ query, variables, fetchPolicy: "no-cache" }).then(
      ({ data }) => !stale && setFetched((data as Record<string, Row> | undefined)?.[object.nameSingular]),
      (error: unknown) => !stale && notifications.show({ message: errorText(error), color: "red" }),
    );
    return () => {
      stale = true;
    };
  }, [missing, id, client, schema, object]);
  return loaded ?? (missing && fetched?.id === id ? fetched : undefined);
}

function SortMenu({
  object,
  sort,
  onSort,
  opened,
  onOpened,
}: {
  object: ObjectInfo;
  sort: Sort | undefined;
  onSort: (sort: Sort | undefined) => void;
  opened: boolean;
  onOpened: (opened: boolean) => void;
}) {
  const fields = shownFields(object).filter(canSort);
  const now = fields.find((field) => field.name === sort?.field);
  return (
    <Menu opened={opened} onChange={onOpened} position="bottom-end" width={232}>
      <Menu.Target>
        <Button
          variant="default"
          size="compact-sm"
          leftSection={<IconArrowsSort size={16} />}
          title={keyText(keys.sort)}
          aria-keyshortcuts={ariaKey(keys.sort)}
          data-testid="sort"
        >
          {words.sort}
        </Button>
      </Menu.Target>
      <Menu.Dropdown mah={400} style={{ overflowY: "auto" }}>
        <Menu.Label>{words.sortBy}</Menu.Label>
        {fields.map((field) => (
          <Menu.Item
            key={field.name}
            fw={field === now ? 600 : undefined}
            rightSection={
              field === now && (
                <Text size="sm" c="dimmed">
                  {sort?.descending ? words.descending : words.ascending}
                </Text>
              )
            }
            onClick={() =>
              onSort({ field: field.name, descending: field === now ? !sort?.descending : startsDescending(field) })
            }
          >
            {field.label}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => onSort(undefined)}>{words.unsorted}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Item({
  label,
  shortcut,
  onClick,
  testid,
  color,
}: {
  label: string;
  shortcut?: string;
  onClick: () => void;
  testid?: string;
  color?: "red";
}) {
  return (
    <Menu.Item
      onClick={onClick}
      rightSection={shortcut && <Kbd size="xs">{keyText(shortcut)}</Kbd>}
      aria-keyshortcuts={shortcut && ariaKey(shortcut)}
      data-testid={testid}
      c={color && "var(--mantine-color-error)"}
    >
      {label}
    </Menu.Item>
  );
}

const Over = ({ children }: { children: ReactNode }) => <div className={classes.over}>{children}</div>;

function emptyView(records: ReturnType<typeof useRecords>, conditions: readonly Condition[]): ReactNode {
  if (records.state === "loading") return <SkeletonRows />;
  const failed = records.state === "failed";
  return (
    <Group
      p="lg"
      gap="sm"
      role={failed ? "alert" : undefined}
      data-testid={failed ? "records-failed" : "records-empty"}
    >
      <Text c={failed ? "var(--mantine-color-error)" : "dimmed"}>
        {failed
          ? `${words.failed} ${errorText(records.error)}`
          : conditions.length > 0
            ? words.emptyFiltered
            : words.empty}
      </Text>
      {failed && (
        <Button size="compact-sm" variant="default" onClick={records.reload}>
          {words.tryAgain}
        </Button>
      )}
    </Group>
  );
}

/** As many as fit any window; the rest is cut off. */
const SKELETON_ROWS = 40;

/** The whole page before the objects are known: its parts are where the real ones will be. */
export function SkeletonPage() {
  return (
    <section className={classes.page} aria-busy>
      <div className={classes.head}>
        <Skeleton h={20} w={96} />
      </div>
      <div className={classes.body}>
        <div className={classes.skeletonRow} aria-hidden />
        <Over>
          <SkeletonRows />
        </Over>
      </div>
      <footer className={classes.foot} />
    </section>
  );
}

function SkeletonRows() {
  return (
    <div data-testid="skeleton-rows">
      <VisuallyHidden>{words.loading}</VisuallyHidden>
      {Array.from({ length: SKELETON_ROWS }, (_, index) => (
        <div key={index} className={classes.skeletonRow} aria-hidden>
          <Skeleton h={12} w={16} />
          <Skeleton h={12} w={120 + ((index * 37) % 60)} />
          <Skeleton h={12} w={160 + ((index * 53) % 60)} />
          <Skeleton h={12} w={100 + ((index * 29) % 60)} />
        </div>
      ))}
    </div>
  );
}

/** These keys mean something of their own in a text, and in what is selected on the page. */
const LEFT_TO_TEXT = { preventDefault: false };

function unlessTyping(event: KeyboardEvent, action: () => void): void {
  const { target } = event;
  const element = target instanceof HTMLElement ? target : undefined;
  const typing = element?.matches("input:not([type=checkbox]), textarea, select, [contenteditable=true]");
  if (typing || element?.closest("[role=dialog]") || window.getSelection()?.toString()) return;
  event.preventDefault();
  action();
}

const startsDescending = (field: Field) => kindOf(field)?.filter?.holds === "date";

function newestFirst(object: ObjectInfo): Sort | undefined {
  return object.fieldsList.some((field) => field.name === "createdAt")
    ? { field: "createdAt", descending: true }
    : undefined;
}
