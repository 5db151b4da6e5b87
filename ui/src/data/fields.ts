/**
 * What each type of field means: which parts to ask for, how it reads as text, how it is edited, sorted and filtered.
 * A type that is not listed is not shown.
 */
import { count } from "../format";
import { records } from "../messages";
import { labelField, type Field, type ObjectInfo, type Schema } from "./metadata";
import type { Operator } from "./operators";

export type Value = unknown;
export type Editor = "text" | "number" | "date" | "datetime" | "boolean" | "select" | "relation";

/** How one type of field behaves. */
export interface Kind {
  /** The parts of a composite field to ask for. */
  parts?: string[];
  /** Absent: read only. */
  editor?: Editor;
  text: (value: Value, field: Field) => string;
  /** What a text that a person typed becomes; `previous` keeps the parts that the editor does not show. */
  parse?: (text: string, previous: Value) => Value;
  /** The parts that order the records; empty: the field itself. Absent: the server can't sort by it. */
  sortBy?: string[];
  /** The part that a filter looks at, what it holds, and which conditions make sense. */
  filter?: {
    part?: string;
    holds: "text" | "number" | "micros" | "date" | "boolean" | "option";
    operators: Operator[];
  };
  width: number;
  align?: "right";
}

const EMPTY: Operator[] = ["isEmpty", "isNotEmpty"];
const TEXT: Operator[] = ["contains", "startsWith", "is", "isNot", ...EMPTY];
const NUMBER: Operator[] = ["is", "isNot", "atLeast", "atMost", ...EMPTY];
const DATE: Operator[] = ["after", "before", ...EMPTY];
/** A text part is never null on the server, only empty. */
const PART_TEXT: Operator[] = ["contains", "startsWith", "is", "isNot"];
/** Amounts are stored in millionths. */
const MICROS = 1_000_000;

const text = (value: Value) => (value === null || value === undefined ? "" : String(value));
const part = (value: Value, name: string) =>
  value && typeof value === "object" ? text((value as Record<string, unknown>)[name]) : "";
const withPart = (name: string) => (typed: string, previous: Value) => ({
  ...(previous && typeof previous === "object" ? withoutTypename(previous) : {}),
  [name]: typed.trim(),
});

const plainText: Kind = {
  editor: "text",
  text,
  parse: (typed) => typed,
  sortBy: [],
  filter: { holds: "text", operators: TEXT },
  width: 180,
};

const number: Kind = {
  editor: "number",
  text: (value) => (typeof value === "number" ? count(value) : text(value)),
  parse: (typed) => parseNumber(typed),
  sortBy: [],
  filter: { holds: "number", operators: NUMBER },
  width: 120,
  align: "right",
};

const option: Kind = {
  editor: "select",
  text: (value, field) => optionLabel(field, text(value)),
  parse: (typed) => typed || null,
  // The server's order input for such fields takes no direction: no sorting.
  filter: { holds: "option", operators: ["is", "isNot", ...EMPTY] },
  width: 150,
};

const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const dayAndTime = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const dateText = (format: Intl.DateTimeFormat) => (value: Value) => {
  const at = typeof value === "string" ? new Date(value) : undefined;
  return at && !Number.isNaN(at.getTime()) ? format.format(at) : "";
};

const composite = (shown: string, others: string[], width: number): Kind => ({
  parts: [shown, ...others],
  editor: "text",
  text: (value) => part(value, shown),
  parse: withPart(shown),
  sortBy: [shown],
  filter: { part: shown, holds: "text", operators: PART_TEXT },
  width,
});

const KINDS: Record<string, Kind> = {
  TEXT: plainText,
  NUMBER: number,
  NUMERIC: number,
  BOOLEAN: {
    editor: "boolean",
    text: (value) => (value === true ? records.yes : value === false ? records.no : ""),
    parse: (typed) => (typed === "" ? null : typed === "true"),
    sortBy: [],
    filter: { holds: "boolean", operators: ["isTrue", "isFalse"] },
    width: 110,
  },
  DATE_TIME: {
    editor: "datetime",
    text: dateText(dayAndTime),
    parse: (typed) => (typed ? new Date(typed).toISOString() : null),
    sortBy: [],
    filter: { holds: "date", operators: DATE },
    width: 170,
  },
  DATE: {
    editor: "date",
    text: dateText(day),
    parse: (typed) => typed || null,
    sortBy: [],
    filter: { holds: "date", operators: DATE },
    width: 130,
  },
  SELECT: option,
  RATING: option,
  // Read only: servers of release 1.6 take a single value in their inputs, which would lose the others.
  MULTI_SELECT: {
    text: (value, field) => (Array.isArray(value) ? value.map((one) => optionLabel(field, text(one))).join(", ") : ""),
    width: 170,
  },
  FULL_NAME: {
    parts: ["firstName", "lastName"],
    editor: "text",
    text: (value) => [part(value, "firstName"), part(value, "lastName")].filter(Boolean).join(" "),
    parse: (typed) => {
      const [firstName = "", ...rest] = typed.trim().split(/\s+/);
      return { firstName, lastName: rest.join(" ") };
    },
    sortBy: ["firstName", "lastName"],
    filter: { part: "firstName", holds: "text", operators: PART_TEXT },
    width: 200,
  },
  EMAILS: composite("primaryEmail", [], 230),
  PHONES: {
    ...composite("primaryPhoneNumber", ["primaryPhoneCallingCode"], 170),
    text: (value) =>
      [part(value, "primaryPhoneCallingCode"), part(value, "primaryPhoneNumber")].filter(Boolean).join(" "),
    // The calling code is part of the text only when it was typed with a plus sign and a space after it.
    parse: (typed, previous) => {
      const [, code, rest] = /^(\+\d+)\s+(.*)$/.exec(typed.trim()) ?? [];
      return {
        ...withPart("primaryPhoneNumber")(rest ?? typed, previous),
        ...(code ? { primaryPhoneCallingCode: code } : {}),
      };
    },
  },
  LINKS: composite("primaryLinkUrl", ["primaryLinkLabel"], 180),
  CURRENCY: {
    parts: ["amountMicros", "currencyCode"],
    editor: "number",
    text: (value) => {
      const micros = part(value, "amountMicros");
      return micros === "" ? "" : `${count(Number(micros) / MICROS)} ${part(value, "currencyCode")}`.trim();
    },
    parse: (typed, previous) => {
      const amount = parseNumber(typed);
      return {
        amountMicros: amount === null ? null : Math.round(amount * MICROS),
        currencyCode: part(previous, "currencyCode") || "USD",
      };
    },
    sortBy: ["amountMicros"],
    filter: { part: "amountMicros", holds: "micros", operators: NUMBER },
    width: 150,
    align: "right",
  },
  ADDRESS: {
    ...composite("addressCity", ["addressStreet1", "addressPostcode", "addressCountry"], 180),
    text: (value) =>
      ["addressStreet1", "addressPostcode", "addressCity", "addressCountry"]
        .map((name) => part(value, name))
        .filter(Boolean)
        .join(", "),
  },
  ACTOR: {
    parts: ["name", "source"],
    text: (value) => part(value, "name") || part(value, "source"),
    sortBy: ["name"],
    filter: { part: "name", holds: "text", operators: PART_TEXT },
    width: 160,
  },
  RELATION: {
    editor: "relation",
    text: (value) => part(value, "label"),
    width: 180,
  },
};

/** How a field behaves, or nothing where it is not shown: unknown types, lists of related records, the server's own. */
export function kindOf(field: Field): Kind | undefined {
  if (field.isActive === false || (field.isSystem && !DATES.has(field.name)) || HIDDEN.has(field.name))
    return undefined;
  if (field.type === "RELATION" && field.relation?.type !== "MANY_TO_ONE") return undefined;
  const kind = KINDS[field.type];
  return kind && READ_ONLY.has(field.name) ? { ...kind, editor: undefined } : kind;
}

/** Dates that a server may mark as its own although people look for them. */
const DATES = new Set(["createdAt", "updatedAt"]);
const READ_ONLY = new Set(["id", "createdAt", "updatedAt", "deletedAt", "createdBy"]);
const HIDDEN = new Set(["id", "deletedAt", "position", "searchVector", "avatarUrl"]);

/** The fields that are shown, the one that names the record first, the dates last. */
export function shownFields(object: ObjectInfo): Field[] {
  const name = labelField(object);
  const place = (field: Field) => (field.id === name?.id ? 0 : DATES.has(field.name) || field.type === "ACTOR" ? 2 : 1);
  return object.fieldsList
    .filter((field) => kindOf(field))
    .map((field, index) => ({ field, index }))
    .sort((a, b) => place(a.field) - place(b.field) || a.index - b.index)
    .map(({ field }) => field);
}

/** A record as the table holds it. */
export interface Row {
  id: string;
  [field: string]: Value;
}

/** What a field of a record reads like. */
export function fieldText(row: Row, field: Field, schema: Schema): string {
  const value = row[field.name];
  if (field.type === "RELATION") return relationText(value, field, schema);
  return kindOf(field)?.text(value, field) ?? "";
}

/** What a record is called. */
export function recordName(row: Row, object: ObjectInfo, schema: Schema): string {
  const field = labelField(object);
  return (field && fieldText(row, field, schema)) || records.unnamed;
}

/** The text with which an editor opens. */
export function editorText(value: Value, field: Field): string {
  const kind = kindOf(field);
  if (!kind || value === null || value === undefined) return "";
  switch (kind.editor) {
    case "number": {
      const plain = field.type === "CURRENCY" ? part(value, "amountMicros") : text(value);
      return field.type === "CURRENCY" && plain !== "" ? String(Number(plain) / MICROS) : plain;
    }
    case "datetime":
      return localDateTime(text(value));
    case "date":
      return text(value).slice(0, 10);
    case "boolean":
    case "select":
      return text(value);
    case "relation":
      return part(value, "id");
    default:
      return field.type === "ADDRESS" ? part(value, "addressCity") : kind.text(value, field);
  }
}

/** A millionth-based filter value for amounts, a number, a date, or the text itself. */
export function filterValue(typed: string, holds: NonNullable<Kind["filter"]>["holds"]): string | number | undefined {
  if (holds === "number" || holds === "micros") {
    const value = parseNumber(typed);
    if (value === null) return undefined;
    return holds === "micros" ? Math.round(value * MICROS) : value;
  }
  if (holds === "date") {
    const at = new Date(typed);
    return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
  }
  return typed;
}

/** `null` for an empty text; throws for one that is no number. */
export function parseNumber(typed: string): number | null {
  const plain = typed.replace(/[\s,]/g, "");
  if (plain === "") return null;
  const value = Number(plain);
  if (!Number.isFinite(value)) throw new Error(records.notNumber);
  return value;
}

export function withoutTypename(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== "__typename"));
}

function relationText(value: Value, field: Field, schema: Schema): string {
  if (!value || typeof value !== "object") return "";
  const target = field.relation && schema.bySingular.get(field.relation.targetObjectMetadata.nameSingular);
  const label = target && labelField(target);
  const kind = label && KINDS[label.type];
  return (label && kind?.text((value as Row)[label.name], label)) || records.unnamed;
}

function optionLabel(field: Field, value: string): string {
  return field.options?.find((one) => one.value === value)?.label ?? value;
}

/** What `<input type="datetime-local">` takes: the local time without a zone. */
function localDateTime(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
