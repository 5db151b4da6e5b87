/** Records as text on the clipboard: rows as lines with tabs, as spreadsheets read them, or one cell. */
import { copyText } from "../clipboard";
import { fieldText, type Row } from "../data/fields";
import type { Field, Schema } from "../data/metadata";

/** Copies the rows, one line each, the fields in the given order. Resolves to whether the clipboard has them. */
export function copyRows(rows: readonly Row[], fields: readonly Field[], schema: Schema): Promise<boolean> {
  const cell = (row: Row, field: Field) => fieldText(row, field, schema).replaceAll(/[\t\n]/g, " ");
  return copyText(rows.map((row) => fields.map((field) => cell(row, field)).join("\t")).join("\n"));
}

/** Copies one field of one record. Resolves to whether the clipboard has it. */
export function copyCell(row: Row, field: Field, schema: Schema): Promise<boolean> {
  return copyText(fieldText(row, field, schema));
}
