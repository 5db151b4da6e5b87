/**
 * Each type of field: the parts to query, its text, how it is edited, sorted and filtered. A field of another type is
 * not shown.
 */
import { records } from "../messages";
import { dayText, editableDay, editableMoment, midnight, momentText, parseDay, parseMoment } from "./days";
import { isNothing, type Box, type Boxes, type Editing, type Parts, type TextEditor, type Value } from "./editing";
import { labelField, type Field, type ObjectInfo, type Schema } from "./metadata";
import { editableMicros, editableNumber, microsText, numberText, parseMicros, parseNumber } from "./numbers";
import type { Operator } from "./operators";

/** What a filter compares: a whole field, or one part of it. */
export type Comparable = "text" | "number" | "micros" | "day" | "moment" | "boolean" | "option";

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
/** The currency of a field that names none. */
const USUAL_CURRENCY = "USD";

const text = (value: Value) => (value === null || value === undefined ? "" : String(value));
const part = (value: Value, name: string) => (value && typeof value === "object" ? text((value as Parts)[name]) : "");

/** An editor of one box for the whole value. */
const oneBox = (as: TextEditor, start: Box["start"], parse: Box["parse"]): Boxes => ({
  as: "boxes",
  boxes: [{ as, start, parse }],
});
/** A box for a text that is one part of a value. */
const partBox = (name: string, label?: string): Box => ({
  part: name,
  label,
  as: "text",
  start: text,
  parse: (typed) => typed.trim(),
});

const fullName = (value: Value) => [part(value, "firstName"), part(value, "lastName")].filter(Boolean).join(" ");
const phoneNumber = (value: Value) =>
  [part(value, "primaryPhoneCallingCode"), part(value, "primaryPhoneNumber")].filter(Boolean).join(" ");

const plainText: Kind = {
  edit: oneBox("lines", (value) => text(value).replace(/\r\n?/g, "\n"), withLineEndsOf),
  text,
  sortBy: [],
  filter: { holds: "text", operators: TEXT },
  width: 180,
};

const number: Kind = {
  edit: oneBox(
    "number",
    (value) => (typeof value === "number" ? editableNumber(value) : text(value)),
    (typed) => parseNumber(typed),
  ),
  text: (value) => (typeof value === "number" ? numberText(value) : text(value)),
  sortBy: [],
  filter: { holds: "number", operators: NUMBER },
  width: 120,
  align: "right",
};

const option: Kind = {
  edit: oneBox("select", text, (typed) => typed || null),
  text: (value, field) => optionLabel(field, text(value)),
  // The server's order input for such fields takes no direction: no sorting.
  filter: { holds: "option", operators: ["is", "isNot", ...EMPTY] },
  width: 150,
};

/** A field whose first part is shown and edited. The others are read only to be sent back unchanged. */
const composite = (shown: string, others: string[], width: number): Kind => ({
  parts: [shown, ...others],
  edit: { as: "boxes", boxes: [partBox(shown)] },
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
    edit: oneBox("boolean", text, (typed) => (typed === "" ? null : typed === "true")),
    text: (value) => (value === true ? records.yes : value === false ? records.no : ""),
    look: "tick",
    sortBy: [],
    filter: { holds: "boolean", operators: ["isTrue", "isFalse"] },
    width: 110,
  },
  DATE_TIME: {
    edit: oneBox("datetime", editableMoment, parseMoment),
    text: momentText,
    sortBy: [],
    filter: { holds: "moment", operators: DATE },
    width: 170,
  },
  DATE: {
    edit: oneBox("date", editableDay, parseDay),
    text: dayText,
    sortBy: [],
    filter: { holds: "day", operators: DATE },
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
      as: "boxes",
      boxes: [partBox("firstName", records.parts.firstName), partBox("lastName", records.parts.lastName)],
    },
    text: fullName,
    sortBy: ["firstName", "lastName"],
    filter: { part: "firstName", holds: "text", operators: PART_TEXT },
    width: 200,
  },
  EMAILS: composite("primaryEmail", ["additionalEmails"], 230),
  PHONES: {
    ...composite("primaryPhoneNumber", ["primaryPhoneCallingCode", "primaryPhoneCountryCode", "additionalPhones"], 170),
    edit: {
      as: "boxes",
      boxes: [
        partBox("primaryPhoneCallingCode", records.parts.callingCode),
        partBox("primaryPhoneNumber", records.parts.number),
      ],
      main: "primaryPhoneNumber",
      complete: withCodes,
    },
    text: phoneNumber,
  },
  LINKS: composite("primaryLinkUrl", ["primaryLinkLabel", "secondaryLinks"], 180),
  CURRENCY: {
    parts: ["amountMicros", "currencyCode"],
    edit: {
      as: "boxes",
      boxes: [
        {
          part: "amountMicros",
          label: records.parts.amount,
          as: "number",
          start: editableMicros,
          parse: (typed) => parseMicros(typed),
        },
        { ...partBox("currencyCode", records.parts.currency), parse: (typed) => typed.trim().toUpperCase() },
      ],
      complete: withCurrency,
    },
    text: (value) => {
      const amount = microsText(value && (value as Parts).amountMicros);
      return amount === "" ? "" : `${amount} ${part(value, "currencyCode")}`.trim();
    },
    sortBy: ["amountMicros"],
    filter: { part: "amountMicros", holds: "micros", operators: NUMBER },
    width: 150,
    align: "right",
  },
  ADDRESS: {
    ...composite("addressCity", [], 180),
    parts: [
      "addressStreet1",
      "addressStreet2",
      "addressCity",
      "addressPostcode",
      "addressState",
      "addressCountry",
      "addressLat",
      "addressLng",
    ],
    edit: {
      as: "boxes",
      boxes: [
        partBox("addressStreet1", records.parts.street1),
        partBox("addressStreet2", records.parts.street2),
        partBox("addressPostcode", records.parts.postcode),
        partBox("addressCity", records.parts.city),
        partBox("addressState", records.parts.state),
        partBox("addressCountry", records.parts.country),
      ],
    },
    text: (value) =>
      ["addressStreet1", "addressStreet2", "addressPostcode", "addressCity", "addressState", "addressCountry"]
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

/** The value of a typed text in a filter; amounts become millionths. `undefined` where the text has none. */
export function filterValue(typed: string, holds: Comparable): string | number | undefined {
  return readFilter(typed, holds).value ?? undefined;
}

/** Why a typed text has no value in a filter. `undefined` for one that has, and for an empty one. */
export function filterProblem(typed: string, holds: Comparable): string | undefined {
  return readFilter(typed, holds).problem;
}

function readFilter(typed: string, holds: Comparable): { value?: string | number | null; problem?: string } {
  try {
    return { value: parseFilter(typed, holds) };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

function parseFilter(typed: string, holds: Comparable): string | number | null {
  switch (holds) {
    case "number":
      return parseNumber(typed);
    case "micros":
      return parseMicros(typed);
    case "day":
      return parseDay(typed);
    case "moment":
      return midnight(typed);
    case "text":
    case "boolean":
    case "option":
      return typed.trim() === "" ? null : typed;
  }
}

/** Text areas turn every line end into a line feed; a stored text with others gets its own back. */
function withLineEndsOf(typed: string, stored: Value): string {
  return /\r\n/.test(text(stored)) && !/(^|[^\r])\n/.test(text(stored)) ? typed.replace(/\n/g, "\r\n") : typed;
}

/**
 * A full number, typed with a plus sign, brings its own code: the stored one is dropped, and so is the country, which the
 * server finds out again. Without a number there is no code either.
 */
function withCodes(changed: Parts, stored: Parts): Parts {
  const number = changed.primaryPhoneNumber;
  if (number === "") return { ...changed, primaryPhoneCallingCode: "", primaryPhoneCountryCode: "" };
  let result = changed;
  if (typeof number === "string" && number.startsWith("+")) {
    const [, code = "", rest = number] = /^(\+\d{1,4})[\s-]+(\S.*)$/.exec(number) ?? [];
    result = { ...changed, primaryPhoneCallingCode: code, primaryPhoneNumber: rest };
  }
  const code = result.primaryPhoneCallingCode;
  const isSame = code === undefined || code === text(stored.primaryPhoneCallingCode);
  return isSame ? result : { ...result, primaryPhoneCountryCode: "" };
}

/** A first amount takes the currency that the field has by default. */
function withCurrency(changed: Parts, stored: Parts, field: Field): Parts {
  if (isNothing(changed.amountMicros) || changed.currencyCode || text(stored.currencyCode)) return changed;
  const usual = part(field.defaultValue, "currencyCode").replace(/^'|'$/g, "");
  return { ...changed, currencyCode: usual || USUAL_CURRENCY };
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
