/** The table: AG Grid with the loaded rows. The server orders and filters; the grid only shows the result. */
import {
  CellStyleModule,
  ClientSideRowModelModule,
  ColumnApiModule,
  CustomEditorModule,
  ModuleRegistry,
  RenderApiModule,
  RowApiModule,
  RowSelectionModule,
  RowStyleModule,
  ScrollApiModule,
  type CellEditRequestEvent,
  type ColDef,
  type ColumnState,
  type GridApi,
  type ICellRendererParams,
  type SuppressKeyboardEventParams,
} from "ag-grid-community";
import { AgGridReact } from "ag-grid-react";
import { useCallback, useEffect, useImperativeHandle, useMemo, useRef, useState, type Ref } from "react";
import { IconCheck } from "@tabler/icons-react";
import { isTemporary, type Edit } from "../data/edits";
import type { Value } from "../data/editing";
import { fieldText, kindOf, shownFields, type Row } from "../data/fields";
import type { Field, ObjectInfo, Schema } from "../data/metadata";
import { canSort, type Sort } from "../data/query";
import { edits as editWords } from "../messages";
import { forget, recall, remember } from "../remembered";
import { gridTheme } from "../theme";
import { CellEditor, staysInEditor } from "./CellEditor";
import classes from "./records.module.css";

ModuleRegistry.registerModules([
  CellStyleModule,
  ClientSideRowModelModule,
  ColumnApiModule,
  CustomEditorModule,
  RenderApiModule,
  RowApiModule,
  RowSelectionModule,
  RowStyleModule,
  ScrollApiModule,
]);

/** The next page is loaded when fewer rows than this, about one screen, are left below. */
const AHEAD = 20;

export interface GridHandle {
  selected: () => Row[];
  focusedRow: () => Row | undefined;
  focusedField: () => string | undefined;
  editFocused: () => void;
  clearSelection: () => void;
  resetColumns: () => void;
  shownFields: () => Field[];
  focus: () => void;
}

interface Props {
  ref?: Ref<GridHandle>;
  object: ObjectInfo;
  schema: Schema;
  /** The key under which the columns' widths and order are stored. */
  memory: string;
  rows: readonly Row[];
  pending: readonly Edit[];
  sort: Sort | undefined;
  onSort: (sort: Sort | undefined) => void;
  onEdit: (row: Row, field: Field, value: Value) => void;
  onSelection: (rows: Row[]) => void;
  onOpen: (row: Row) => void;
  onNearEnd: () => void;
}

export function RecordGrid({
  ref,
  object,
  schema,
  memory,
  rows,
  pending,
  sort,
  onSort,
  onEdit,
  onSelection,
  onOpen,
  onNearEnd,
}: Props) {
  const api = useRef<GridApi<Row>>(null);
  const fields = useMemo(() => shownFields(object), [object]);
  const states = useMemo(
    () => new Map(pending.map((edit) => [`${edit.id}:${edit.field ?? ""}`, edit.state])),
    [pending],
  );
  const [context] = useState(() => new PendingStates());

  const columns = useMemo(() => {
    const state = recall<ColumnState[]>(memory, [], isColumnStates);
    const known = new Map(state.map((column, index) => [column.colId, { ...column, index }]));
    const place = (column: ColDef<Row>) => known.get(column.colId!)?.index ?? Number.MAX_SAFE_INTEGER;
    return fields
      .map((field) => column(object, field, schema, known.get(field.name)?.width ?? undefined))
      .sort((a, b) => place(a) - place(b));
  }, [object, fields, schema, memory]);

  const sorted = useMemo(
    () =>
      columns.map((one): ColDef<Row> => ({
        ...one,
        sort: sort?.field === one.colId ? (sort?.descending ? "desc" : "asc") : null,
      })),
    [columns, sort],
  );

  // The grid applies the rules for a cell's look only when it draws the cell.
  useEffect(() => {
    context.replace(states);
    api.current?.refreshCells({ force: true });
    api.current?.redrawRows({
      rowNodes: api.current.getRenderedNodes().filter((node) => !node.id || states.has(`${node.id}:`)),
    });
  }, [states, context]);

  const saveColumns = useCallback(() => {
    const state = api.current?.getColumnState().map(({ colId, width }) => ({ colId, width }));
    if (state) remember(memory, state);
  }, [memory]);

  useImperativeHandle(ref, () => {
    const focusedRow = () => {
      const cell = api.current?.getFocusedCell();
      return cell ? api.current?.getDisplayedRowAtIndex(cell.rowIndex)?.data : undefined;
    };
    return {
      selected: () => api.current?.getSelectedRows() ?? [],
      focusedRow,
      focusedField: () => api.current?.getFocusedCell()?.column.getColId(),
      editFocused: () => {
        const cell = api.current?.getFocusedCell();
        if (cell) api.current?.startEditingCell({ rowIndex: cell.rowIndex, colKey: cell.column });
      },
      clearSelection: () => api.current?.deselectAll(),
      resetColumns: () => {
        forget(memory);
        api.current?.applyColumnState({
          state: fields.map((field) => ({ colId: field.name, width: kindOf(field)?.width })),
          applyOrder: true,
        });
        forget(memory);
      },
      shownFields: () =>
        (api.current?.getAllDisplayedColumns() ?? [])
          .map((shown) => fields.find((field) => field.name === shown.getColId()))
          .filter((field) => field !== undefined),
      focus: () => {
        const first = fields[0];
        if (first && api.current?.getDisplayedRowCount()) api.current.setFocusedCell(0, first.name);
      },
    };
  });

  return (
    <div className={classes.grid} data-testid="grid">
      <AgGridReact<Row>
        theme={gridTheme}
        rowData={rows as Row[]}
        columnDefs={sorted}
        context={context}
        getRowId={({ data }) => data.id}
        defaultColDef={DEFAULT_COLUMN}
        rowSelection={SELECTION}
        selectionColumnDef={SELECTION_COLUMN}
        maintainColumnOrder
        readOnlyEdit
        suppressDragLeaveHidesColumns
        enterNavigatesVerticallyAfterEdit
        rowClassRules={ROW_CLASSES}
        onGridReady={(event) => (api.current = event.api)}
        onCellEditRequest={(event: CellEditRequestEvent<Row>) => {
          const field = fields.find((one) => one.name === event.column.getColId());
          if (field && event.data) onEdit(event.data, field, event.newValue);
        }}
        onSelectionChanged={(event) => onSelection(event.api.getSelectedRows())}
        onCellDoubleClicked={(event) => {
          const pointer = event.event as MouseEvent | undefined;
          if (pointer && (pointer.ctrlKey || pointer.metaKey) && event.data) onOpen(event.data);
        }}
        onSortChanged={(event) => {
          // The event also comes for an order that the page itself has set.
          if (event.source !== "uiColumnSorted") return;
          const by = event.api.getColumnState().find((one) => one.sort);
          onSort(by ? { field: by.colId, descending: by.sort === "desc" } : undefined);
        }}
        onColumnMoved={(event) => event.finished && event.source === "uiColumnMoved" && saveColumns()}
        onColumnResized={(event) => event.finished && event.source === "uiColumnResized" && saveColumns()}
        onBodyScrollEnd={(event) => {
          if (event.api.getLastDisplayedRowIndex() >= rows.length - AHEAD) onNearEnd();
        }}
        suppressNoRowsOverlay
        animateRows={false}
      />
    </div>
  );
}

const DEFAULT_COLUMN: ColDef<Row> = {
  resizable: true,
  minWidth: 80,
  // The server has ordered the rows.
  comparator: () => 0,
  suppressKeyboardEvent: isPageKey,
};

/**
 * The keys that the grid must not take: those that move within an open editor, and those that the page handles, which are
 * Delete and every key with a modifier.
 */
function isPageKey({ event, editing }: SuppressKeyboardEventParams<Row>): boolean {
  if (editing) return staysInEditor(event);
  const modified = (event.ctrlKey || event.metaKey) && !event.key.startsWith("Arrow");
  return event.key === "Delete" || event.key === "Backspace" || modified;
}

const SELECTION = { mode: "multiRow", headerCheckbox: true, checkboxes: true, enableClickSelection: false } as const;
const SELECTION_COLUMN: ColDef = {
  width: 44,
  minWidth: 44,
  maxWidth: 44,
  resizable: false,
  pinned: "left",
  suppressMovable: true,
};

/** The states of the unconfirmed edits, by record and field. A change to the whole record has no field. */
class PendingStates {
  states: ReadonlyMap<string, Edit["state"]> = new Map();

  replace(states: ReadonlyMap<string, Edit["state"]>): void {
    this.states = states;
  }
}

const rowState = (id: string | undefined, context: PendingStates) => context.states.get(`${id}:`);
const ROW_CLASSES = {
  [classes.waiting!]: ({ data, context }: { data?: Row; context: PendingStates }) =>
    rowState(data?.id, context) !== undefined,
};

function column(object: ObjectInfo, field: Field, schema: Schema, width: number | undefined): ColDef<Row> {
  const kind = kindOf(field)!;
  const state = (id: string | undefined, context: PendingStates) =>
    context.states.get(`${id}:${field.name}`) ?? rowState(id, context);
  return {
    colId: field.name,
    headerName: field.label,
    width: width ?? kind.width,
    type: kind.align === "right" ? "rightAligned" : undefined,
    sortable: canSort(field),
    editable: ({ data }) => kind.edit !== undefined && !(data && isTemporary(data.id)),
    valueGetter: ({ data }) => data?.[field.name],
    equals: (a: Value, b: Value) => JSON.stringify(a) === JSON.stringify(b),
    cellRenderer: (params: ICellRendererParams<Row, Value, PendingStates>) =>
      params.data ? (
        <Cell row={params.data} field={field} schema={schema} state={state(params.data.id, params.context)} />
      ) : null,
    cellEditor: CellEditor,
    cellEditorParams: { object, schema, field },
    // While a related record is being chosen, these keys move in its list.
    ...(kind.edit?.as === "relation" && {
      suppressKeyboardEvent: (params: SuppressKeyboardEventParams<Row>) =>
        params.editing ? ["Enter", "ArrowUp", "ArrowDown"].includes(params.event.key) : isPageKey(params),
    }),
    cellClassRules: {
      [classes.waiting!]: ({ data, context }) =>
        ["waiting", "sending", "uncertain", "conflict"].includes(state(data?.id, context) ?? ""),
      [classes.failed!]: ({ data, context }) => state(data?.id, context) === "failed",
    },
  };
}

interface CellProps {
  row: Row;
  field: Field;
  schema: Schema;
  /** The state of this cell's unconfirmed edit, if there is one. */
  state: Edit["state"] | undefined;
}

function Cell({ row, field, schema, state }: CellProps) {
  const text = fieldText(row, field, schema);
  const title = state && state !== "sending" ? `${text} – ${editWords.states[state]}` : text;
  const look = kindOf(field)?.look ?? "text";
  switch (look) {
    case "tick":
      return row[field.name] === true ? <IconCheck size={16} aria-label={text} /> : null;
    case "tag":
    case "text":
      return (
        <span title={title} data-state={state} className={look === "tag" && text ? classes.tag : undefined}>
          {text}
        </span>
      );
  }
}

const isColumnStates = (value: unknown): value is ColumnState[] =>
  Array.isArray(value) && value.every((one) => typeof (one as ColumnState | null)?.colId === "string");
