/** Builds every query and mutation for records from the server's metadata. */
import { gql, type DocumentNode } from "@apollo/client";
import { ReadableError } from "../errorText";
import { records } from "../messages";
import { partsOf, type Value } from "./editing";
import { filterValue, kindOf, shownFields, type Comparable, type Row } from "./fields";
import { labelField, typeName, type Field, type ObjectInfo, type Schema } from "./metadata";
import { standsAlone, type Operator } from "./operators";

/** Records per page: as many as the server gives by default. */
export const PAGE = 60;

export interface Sort {
  field: string;
  descending: boolean;
}

export interface Condition {
  field: string;
  operator: Operator;
  value: string;
}

export interface Page {
  totalCount: number;
  rows: Row[];
  hasNextPage: boolean;
  endCursor: string | null;
}

export interface Operation {
  query: DocumentNode;
  variables: Record<string, unknown>;
}

/** One page of records with every shown field. */
export function pageOf(
  object: ObjectInfo,
  schema: Schema,
  {
    sort,
    conditions = [],
    after,
    first = PAGE,
  }: { sort?: Sort; conditions?: Condition[]; after?: string | null; first?: number },
): Operation {
  const type = typeName(object);
  const query = gql(`
    query FindMany${type}($filter: ${type}FilterInput, $orderBy: [${type}OrderByInput], $first: Int, $after: String) {
      ${object.namePlural}(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
        edges { node { ${selection(object, schema)} } }
        pageInfo { hasNextPage endCursor }
        totalCount
      }
    }`);
  return {
    query,
    variables: withoutUndefined({
      filter: filterOf(object, conditions),
      orderBy: orderOf(object, sort),
      first,
      after: after ?? undefined,
    }),
  };
}

/** The number of records, without the records. */
export function countOf(object: ObjectInfo): Operation {
  return { query: gql(`query Count${typeName(object)} { ${object.namePlural} { totalCount } }`), variables: {} };
}

/** Records whose name contains the text: for the palette and for choosing a related record. */
export function searchIn(object: ObjectInfo, schema: Schema, text: string, first: number): Operation | undefined {
  const label = labelField(object);
  if (!label) return undefined;
  const type = typeName(object);
  const query = gql(`
    query Search${type}($filter: ${type}FilterInput, $first: Int) {
      ${object.namePlural}(filter: $filter, first: $first) { edges { node { id ${fieldSelection(label, schema)} } } totalCount }
    }`);
  return { query, variables: withoutUndefined({ filter: nameFilter(label, text), first }) };
}

export function oneOf(object: ObjectInfo, schema: Schema, id: string): Operation {
  const type = typeName(object);
  const query = gql(`
    query FindOne${type}($filter: ${type}FilterInput!) {
      ${object.nameSingular}(filter: $filter) { ${selection(object, schema)} }
    }`);
  return { query, variables: { filter: { id: { eq: id } } } };
}

export function createOne(object: ObjectInfo, schema: Schema, values: Record<string, Value>): Operation {
  const type = typeName(object);
  const query = gql(`
    mutation CreateOne${type}($input: ${type}CreateInput!) {
      create${type}(data: $input) { ${selection(object, schema)} }
    }`);
  return { query, variables: { input: inputOf(object, values) } };
}

export function updateOne(object: ObjectInfo, schema: Schema, id: string, values: Record<string, Value>): Operation {
  const type = typeName(object);
  const query = gql(`
    mutation UpdateOne${type}($id: UUID!, $input: ${type}UpdateInput!) {
      update${type}(id: $id, data: $input) { ${selection(object, schema)} }
    }`);
  return { query, variables: { id, input: inputOf(object, values) } };
}

export function deleteOne(object: ObjectInfo, id: string): Operation {
  const type = typeName(object);
  return { query: gql(`mutation DeleteOne${type}($id: UUID!) { delete${type}(id: $id) { id } }`), variables: { id } };
}

/** Takes a deletion back. */
export function restoreOne(object: ObjectInfo, schema: Schema, id: string): Operation {
  const type = typeName(object);
  const query = gql(
    `mutation RestoreOne${type}($id: UUID!) { restore${type}(id: $id) { ${selection(object, schema)} } }`,
  );
  return { query, variables: { id } };
}

/** Reads a page from an answer. */
export function readPage(object: ObjectInfo, data: unknown): Page {
  const connection = (
    data as Record<
      string,
      { totalCount?: number; edges: { node: Row }[]; pageInfo?: { hasNextPage: boolean; endCursor: string | null } }
    >
  )[object.namePlural];
  if (!connection) throw new ReadableError(records.notInAnswer(object.namePlural));
  return {
    totalCount: connection.totalCount ?? connection.edges.length,
    rows: connection.edges.map((edge) => edge.node),
    hasNextPage: connection.pageInfo?.hasNextPage ?? false,
    endCursor: connection.pageInfo?.endCursor ?? null,
  };
}

/** Whether the server can order by this field. */
export const canSort = (field: Field) => kindOf(field)?.sortBy !== undefined;

/** Whether a condition is complete, so that it can be sent. */
export function isComplete(object: ObjectInfo, condition: Condition): boolean {
  return conditionFilter(object, condition) !== undefined;
}

function selection(object: ObjectInfo, schema: Schema): string {
  return ["id", ...shownFields(object).map((field) => fieldSelection(field, schema))].join(" ");
}

function fieldSelection(field: Field, schema: Schema): string {
  if (field.type === "RELATION") {
    const target = field.relation && schema.bySingular.get(field.relation.targetObjectMetadata.nameSingular);
    const label = target && labelField(target);
    // A label that is itself a relation is left out: following it might never end.
    const inner = label && label.type !== "RELATION" ? ` ${fieldSelection(label, schema)}` : "";
    return `${field.name} { id${inner} }`;
  }
  const parts = kindOf(field)?.parts;
  return parts ? `${field.name} { ${parts.join(" ")} }` : field.name;
}

function orderOf(object: ObjectInfo, sort: Sort | undefined): object[] | undefined {
  const field = sort && object.fieldsList.find((one) => one.name === sort.field);
  const parts = field && kindOf(field)?.sortBy;
  if (!sort || !field || !parts) return undefined;
  const direction = sort.descending ? "DescNullsLast" : "AscNullsLast";
  if (parts.length === 0) return [{ [field.name]: direction }];
  return [{ [field.name]: Object.fromEntries(parts.map((name) => [name, direction])) }];
}

function filterOf(object: ObjectInfo, conditions: Condition[]): object | undefined {
  const all = conditions.map((condition) => conditionFilter(object, condition)).filter((one) => one !== undefined);
  return all.length === 0 ? undefined : { and: all };
}

function conditionFilter(object: ObjectInfo, { field: name, operator, value }: Condition): object | undefined {
  const field = object.fieldsList.find((one) => one.name === name);
  const filter = field && kindOf(field)?.filter;
  if (!field || !filter || !filter.operators.includes(operator)) return undefined;
  if (field.type === "FULL_NAME") return nameCondition(field, operator, value);
  const compare = comparison(operator, value, filter.holds);
  return compare && { [field.name]: filter.part ? { [filter.part]: compare } : compare };
}

function comparison(operator: Operator, typed: string, holds: Comparable): object | undefined {
  const value = filterValue(typed, holds);
  if (value === undefined && !standsAlone(operator)) return undefined;
  switch (operator) {
    case "contains":
      return { ilike: `%${likeText(typed)}%` };
    case "startsWith":
      return { ilike: `${likeText(typed)}%` };
    case "is":
      return { eq: value };
    case "isNot":
      return { neq: value };
    case "atLeast":
    case "after":
      return { gte: value };
    case "atMost":
      return { lte: value };
    case "before":
      return { lt: value };
    case "isTrue":
      return { eq: true };
    case "isFalse":
      return { eq: false };
    case "isEmpty":
      return { is: "NULL" };
    case "isNotEmpty":
      return { is: "NOT_NULL" };
  }
}

/** Escapes the wildcards of `ilike`, so that a typed percent sign matches a percent sign. */
const likeText = (typed: string) => typed.trim().replace(/[\\%_]/g, (sign) => `\\${sign}`);

/** A full name has two parts: every word must be found in one of them. */
function nameCondition(field: Field, operator: Operator, typed: string): object | undefined {
  if (typed.trim() === "") return undefined;
  const either = (compare: object) => ({
    or: [{ [field.name]: { firstName: compare } }, { [field.name]: { lastName: compare } }],
  });
  const words = typed.trim().split(/\s+/);
  const [firstName = "", ...rest] = words;
  const same = {
    and: [{ [field.name]: { firstName: { eq: firstName } } }, { [field.name]: { lastName: { eq: rest.join(" ") } } }],
  };
  switch (operator) {
    case "contains":
      return { and: words.map((word) => either({ ilike: `%${likeText(word)}%` })) };
    case "startsWith":
      return either({ ilike: `${likeText(typed)}%` });
    case "is":
      return same;
    case "isNot":
      return { not: same };
    // No condition of a name has these.
    case "atLeast":
    case "atMost":
    case "after":
    case "before":
    case "isTrue":
    case "isFalse":
    case "isEmpty":
    case "isNotEmpty":
      return undefined;
  }
}

function nameFilter(label: Field, text: string): object | undefined {
  if (text.trim() === "") return undefined;
  if (label.type === "FULL_NAME") return nameCondition(label, "contains", text);
  const filter = kindOf(label)?.filter;
  if (!filter || filter.holds !== "text") return undefined;
  const compare = { ilike: `%${likeText(text)}%` };
  return { [label.name]: filter.part ? { [filter.part]: compare } : compare };
}

/** The input of a mutation: relations as ids, composite values without type names. */
function inputOf(object: ObjectInfo, values: Record<string, Value>): Record<string, Value> {
  const input: Record<string, Value> = {};
  for (const [name, value] of Object.entries(values)) {
    const field = object.fieldsList.find((one) => one.name === name);
    if (!field) continue;
    if (field.type === "RELATION") input[`${name}Id`] = (value as Row | null)?.id ?? null;
    else input[name] = value && typeof value === "object" && !Array.isArray(value) ? partsOf(value) : value;
  }
  return input;
}

function withoutUndefined(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
