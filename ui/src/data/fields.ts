/**
 * Each type of field: the parts to query, its text, how it is edited, sorted and filtered. A field of another type is
 * not shown.
 */
import { count } from "../format";
import { records } from "../messages";
import { labelField, type Field, type ObjectInfo, type Schema } from "./metadata";
import type { Operator } from "./operators";

export type Value = unknown;

/** Editors in which a person types or chooses a text. */
export type TextEditor = "text" | "number" | "date" | "datetime" | "boolean" | "select";

/** How a field is edited: as a text, or by choosing a related record. */
export type Editing =
  | {
      as: TextEditor;
      /** The text with which the editor opens. */
      start: (value: Value, field: Field) => string;
      /** The value of a typed text; `previous` has the parts that the editor does not show. Throws if it has none. */
      parse: (typed: string, previous: Value) => Value;
    }
  | { as: "relation" };

/** What a filter compares: a whole field, or one part of it. */
export type Comparable = "text" | "number" | "micros" | "date" | "boolean" | "option";

/** How one type of field behaves. */
export interface Kind {
  /** The parts of a composite field to query. */
  parts?: string[];
  /** Absent: read only. */
  edit?: Editing;
  text: (value: Value, field: Field) => string;
  /** How the table draws the text; absent: as text. */
  look?: "tag" | "tick";
  /** The parts that order the records; empty: the field itself. Absent: the server can't sort by it. */
  sortBy?: string[];
  /** The part that a filter looks at, what it holds, and which conditions make sense. */
  filter?: { part?: string; holds: Comparable; operators: Operator[] };
  /** Of its column in the table, in pixels, until a person changes it. */
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
/** The length of `2026-11-03`, with which every ISO time begins. */
const ISO_DAY_LENGTH = 10;

const text = (value: Value) => (value === null || value === undefined ? "" : String(value));
const part = (value: Value, name: string) =>
  value && typeof value === "object" ? text((value as Record<string, unknown>)[name]) : "";
const withPart = (name: string) => (typed: string, previous: Value) => ({
  ...(previous && typeof previous === "object" ? withoutTypename(previous) : {}),
  [name]: typed.trim(),
});

const fullName = (value: Value) => [part(value, "firstName"), part(value, "lastName")].filter(Boolean).join(" ");
const phoneNumber = (value: Value) =>
  [part(value, "primaryPhoneCallingCode"), part(value, "primaryPhoneNumber")].filter(Boolean).join(" ");

const plainText: Kind = {
  edit: { as: "text", start: text, parse: (typed) => typed },
  text,
  sortBy: [],
  filter: { holds: "text", operators: TEXT },
  width: 180,
};

const number: Kind = {
  edit: { as: "number", start: text, parse: parseNumber },
  text: (value) => (typeof value === "number" ? count(value) : text(value)),
  sortBy: [],
  filter: { holds: "number", operators: NUMBER },
  width: 120,
  align: "right",
};

const option: Kind = {
  edit: { as: "select", start: text, parse: (typed) => typed || null },
  text: (value, field) => optionLabel(field, text(value)),
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
  edit: { as: "text", start: (value) => part(value, shown), parse: withPart(shown) },
  text: (value) => part(value, shown),
  sortBy: [shown],
  filter: { part: shown, holds: "text", operators: PART_TEXT },
  width,
});

const KINDS: Record<string, Kind> = {
  TEXT: plainText,
  NUMBER: number,
  NUMERIC: number,
  BOOLEAN: {
    edit: { as: "boolean", start: text, parse: (typed) => (typed === "" ? null : typed === "true") },
    text: (value) => (value === true ? records.yes : value === false ? records.no : ""),
    look: "tick",
    sortBy: [],
    filter: { holds: "boolean", operators: ["isTrue", "isFalse"] },
    width: 110,
  },
  DATE_TIME: {
    edit: {
      as: "datetime",
      start: (value) => localDateTime(text(value)),
      parse: (typed) => (typed ? new Date(typed).toISOString() : null),
    },
    text: dateText(dayAndTime),
    sortBy: [],
    filter: { holds: "date", operators: DATE },
    width: 170,
  },
  DATE: {
    edit: { as: "date", start: (value) => text(value).slice(0, ISO_DAY_LENGTH), parse: (typed) => typed || null },
    text: dateText(day),
    sortBy: [],
    filter: { holds: "date", operators: DATE },
    width: 130,
  },
  SELECT: { ...option, look: "tag" },
  RATING: option,
  // Read only: servers of release 1.6 take a single value in their inputs, which would lose the others.
  MULTI_SELECT: {
    text: (value, field) => (Array.isArray(value) ? value.map((one) => optionLabel(field, text(one))).join(", ") : ""),
    look: "tag",
    width: 170,
  },
  FULL_NAME: {
    parts: ["firstName", "lastName"],
    edit: {
      as: "text",
      start: fullName,
      parse: (typed) => {
        const [firstName = "", ...rest] = typed.trim().split(/\s+/);
        return { firstName, lastName: rest.join(" ") };
      },
    },
    text: fullName,
    sortBy: ["firstName", "lastName"],
    filter: { part: "firstName", holds: "text", operators: PART_TEXT },
    width: 200,
  },
  EMAILS: composite("primaryEmail", [], 230),
  PHONES: {
    ...composite("primaryPhoneNumber", ["primaryPhoneCallingCode"], 170),
    edit: {
      as: "text",
      start: phoneNumber,
      // The calling code is part of the text only when it was typed with a plus sign and a space after it.
      parse: (typed, previous) => {
        const [, code, rest] = /^(\+\d+)\s+(.*)$/.exec(typed.trim()) ?? [];
        return {
          ...withPart("primaryPhoneNumber")(rest ?? typed, previous),
          ...(code ? { primaryPhoneCallingCode: code } : {}),
        };
      },
    },
    text: phoneNumber,
  },
  LINKS: composite("primaryLinkUrl", ["primaryLinkLabel"], 180),
  CURRENCY: {
    parts: ["amountMicros", "currencyCode"],
    edit: {
      as: "number",
      start: (value) => {
        const micros = part(value, "amountMicros");
        return micros === "" ? "" : String(Number(micros) / MICROS);
      },
      parse: (typed, previous) => {
        const amount = parseNumber(typed);
        return {
          amountMicros: amount === null ? null : Math.round(amount * MICROS),
          currencyCode: part(previous, "currencyCode") || "USD",
        };
      },
    },
    text: (value) => {
      const micros = part(value, "amountMicros");
      return micros === "" ? "" : `${count(Number(micros) / MICROS)} ${part(value, "currencyCode")}`.trim();
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
    edit: { as: "relation" },
    text: (value) => part(value, "label"),
    width: 180,
  },
};

/** The kind of a field. Absent if it is not shown: unknown types, lists of related records, the server's own fields. */
export function kindOf(field: Field): Kind | undefined {
  if (field.isActive === false || (field.isSystem && !DATES.has(field.name)) || HIDDEN.has(field.name))
    return undefined;
  if (field.type === "RELATION" && field.relation?.type !== "MANY_TO_ONE") return undefined;
  const kind = KINDS[field.type];
  return kind && READ_ONLY.has(field.name) ? { ...kind, edit: undefined } : kind;
}

/** Fields that are shown although a server marks them as its own. */
const DATES = new Set(["createdAt", "updatedAt"]);
const READ_ONLY = new Set(["id", "createdAt", "updatedAt", "deletedAt", "createdBy"]);
const HIDDEN = new Set(["id", "deletedAt", "position", "searchVector", "avatarUrl"]);

/** The fields to show: the one that names the record first, the dates last. */
export function shownFields(object: ObjectInfo): Field[] {
  const name = labelField(object);
  const place = (field: Field) => (field.id === name?.id ? 0 : DATES.has(field.name) || field.type === "ACTOR" ? 2 : 1);
  return object.fieldsList
    .filter((field) => kindOf(field))
    .map((field, index) => ({ field, index }))
    .sort((a, b) => place(a.field) - place(b.field) || a.index - b.index)
    .map(({ field }) => field);
}

/** A record in the table. */
export interface Row {
  id: string;
  [field: string]: Value;
}

/** The text of a field of a record. */
export function fieldText(row: Row, field: Field, schema: Schema): string {
  const value = row[field.name];
  if (field.type === "RELATION") return relationText(value, field, schema);
  return kindOf(field)?.text(value, field) ?? "";
}

/** The name of a record. */
export function recordName(row: Row, object: ObjectInfo, schema: Schema): string {
  const field = labelField(object);
  return (field && fieldText(row, field, schema)) || records.unnamed;
}

/**
 * The value of a typed text in a filter; amounts become millionths. `undefined` where the text has no value (yet).
 */
export function filterValue(typed: string, holds: Comparable): string | number | undefined {
  switch (holds) {
    case "number":
      return numberOf(typed);
    case "micros": {
      const amount = numberOf(typed);
      return amount === undefined ? undefined : Math.round(amount * MICROS);
    }
    case "date": {
      const at = new Date(typed);
      return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
    }
    case "text":
    case "boolean":
    case "option":
      return typed.trim() === "" ? undefined : typed;
  }
}

/** `null` for an empty text. Throws for a text that is not a number. */
function parseNumber(typed: string): number | null {
  const plain = typed.replace(/[\s,]/g, "");
  if (plain === "") return null;
  const value = Number(plain);
  if (!Number.isFinite(value)) throw new Error(records.notNumber);
  return value;
}

function numberOf(typed: string): number | undefined {
  try {
    return parseNumber(typed) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Apollo Client adds the type's name to every object; the server's inputs refuse it. */
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

/** The value of an `<input type="datetime-local">`: the local time, without a zone. */
function localDateTime(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
