/**
 * A server in memory that behaves like a Twenty server. graphql-js checks each query against a schema that is made from
 * the metadata, so that a query that a real server would refuse fails here too.
 */
import { buildSchema, graphql, GraphQLError, type GraphQLSchema } from "graphql";
import { typeName, type Field, type ObjectInfo } from "../data/metadata";
import type { Row } from "../data/fields";
import { OBJECT_LIST, seed, type Records } from "./data";

export interface GraphQLBody {
  query: string;
  operationName?: string;
  variables?: Record<string, unknown>;
}

export class FakeServer {
  readonly objects: ObjectInfo[];
  readonly records: Records;
  /** Every operation that arrived, in order. */
  readonly log: { endpoint: string; operationName?: string; variables?: Record<string, unknown> }[] = [];
  #graphql: GraphQLSchema;
  #metadata: GraphQLSchema;
  #made = 0;

  constructor(objects: ObjectInfo[] = OBJECT_LIST, records: Records = seed()) {
    this.objects = objects;
    this.records = records;
    this.#graphql = buildSchema(recordsSchema(objects));
    this.#metadata = buildSchema(METADATA_SCHEMA);
  }

  /** The GraphQL body that an endpoint answers with. */
  async answer(endpoint: string, body: GraphQLBody): Promise<object> {
    this.log.push({ endpoint, operationName: body.operationName, variables: body.variables });
    const metadata = endpoint === "metadata";
    return graphql({
      schema: metadata ? this.#metadata : this.#graphql,
      source: body.query,
      variableValues: body.variables,
      operationName: body.operationName,
      rootValue: metadata ? this.#metadataRoot() : this.#recordsRoot(),
    });
  }

  #metadataRoot() {
    return {
      currentUser: {
        id: "user-1",
        firstName: "Tim",
        lastName: "Example",
        email: "tim@example.com",
        currentWorkspace: { id: "workspace-1", displayName: "Example Works" },
      },
      objects: () => ({ edges: this.objects.map((node) => ({ node })) }),
    };
  }

  #recordsRoot() {
    const root: Record<string, unknown> = {};
    for (const object of this.objects) {
      const type = typeName(object);
      const all = () => this.records[object.nameSingular] ?? [];
      root[object.namePlural] = (args: ListArguments) => this.#list(object, args);
      root[object.nameSingular] = (args: ListArguments) => {
        const found = this.#matching(object, args.filter)[0];
        if (!found) throw notFound();
        return this.#resolved(object, found);
      };
      root[`create${type}`] = ({ data }: { data: Record<string, unknown> }) => {
        this.#refuseDuplicate(object, data);
        const now = new Date().toISOString();
        this.#made += 1;
        const id = (data.id as string | undefined) ?? `eeeeeeee-0000-4000-8000-${String(this.#made).padStart(12, "0")}`;
        if (all().some((one) => one.id === id))
          throw new GraphQLError("A duplicate entry was detected", { extensions: { code: "BAD_USER_INPUT" } });
        const row: Row = {
          ...Object.fromEntries(Object.entries(data).map(([name, value]) => [name, this.#stored(object, name, value)])),
          id,
          createdAt: now,
          updatedAt: now,
          deletedAt: null,
        };
        all().unshift(row);
        return this.#resolved(object, row);
      };
      root[`update${type}`] = ({ id, data }: { id: string; data: Record<string, unknown> }) => {
        const row = all().find((one) => one.id === id && !one.deletedAt);
        if (!row) throw notFound();
        for (const [name, value] of Object.entries(data)) row[name] = this.#stored(object, name, value);
        row.updatedAt = new Date().toISOString();
        return this.#resolved(object, row);
      };
      root[`delete${type}`] = ({ id }: { id: string }) => {
        const row = all().find((one) => one.id === id);
        if (!row) throw notFound();
        row.deletedAt = new Date().toISOString();
        return this.#resolved(object, row);
      };
      root[`restore${type}`] = ({ id }: { id: string }) => {
        const row = all().find((one) => one.id === id);
        if (!row) throw notFound();
        row.deletedAt = null;
        return this.#resolved(object, row);
      };
    }
    return root;
  }

  /**
   * A value as the server stores it: a composite one replaces what was there, and a part that it leaves out is emptied. A
   * field that may not be null refuses null in the words of a database, as real servers do.
   */
  #stored(object: ObjectInfo, name: string, value: unknown): unknown {
    const field = object.fieldsList.find((one) => inputName(one) === name);
    if (field?.isNullable === false && (value === null || value === ""))
      throw new GraphQLError(
        `null value in column "${name}" of relation "${object.nameSingular}" violates not-null constraint`,
        { extensions: { code: "INTERNAL_SERVER_ERROR" } },
      );
    const composite = field && COMPOSITES[field.type];
    if (!composite || !isPlain(value)) return value;
    const sent = value as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(composite.parts).map(([part, type]) => [part, sent[part] ?? (type === "String" ? "" : null)]),
    );
  }

  #list(object: ObjectInfo, { filter, orderBy, first = 60, after }: ListArguments) {
    const rows = ordered(this.#matching(object, filter), orderBy ?? []);
    const start = after ? rows.findIndex((row) => cursor(row) === after) + 1 : 0;
    const page = rows.slice(start, start + first);
    return {
      totalCount: rows.length,
      edges: page.map((row) => ({ node: this.#resolved(object, row), cursor: cursor(row) })),
      pageInfo: {
        hasNextPage: start + page.length < rows.length,
        hasPreviousPage: start > 0,
        startCursor: page[0] ? cursor(page[0]) : null,
        endCursor: page.length ? cursor(page.at(-1)!) : null,
      },
    };
  }

  #matching(object: ObjectInfo, filter: Filter | undefined): Row[] {
    return (this.records[object.nameSingular] ?? []).filter(
      (row) => !row.deletedAt && (!filter || matches(row, filter)),
    );
  }

  #resolved(object: ObjectInfo, row: Row): Row {
    const whole: Row = { ...row };
    for (const field of object.fieldsList) {
      if (!isReference(field)) continue;
      const target = this.records[field.relation!.targetObjectMetadata.nameSingular] ?? [];
      const found = target.find((one) => one.id === row[`${field.name}Id`]);
      whole[field.name] = found ?? null;
    }
    return whole;
  }

  #refuseDuplicate(object: ObjectInfo, data: Record<string, unknown>) {
    const email = (data.emails as { primaryEmail?: string } | undefined)?.primaryEmail;
    const taken = (row: Row) => (row.emails as { primaryEmail?: string } | undefined)?.primaryEmail === email;
    if (email && (this.records[object.nameSingular] ?? []).some(taken))
      throw new GraphQLError(`Duplicate e-mail address ${email}.`, { extensions: { code: "BAD_USER_INPUT" } });
  }
}

type Filter = Record<string, unknown>;
interface ListArguments {
  filter?: Filter;
  orderBy?: Record<string, unknown>[];
  first?: number;
  after?: string;
}

const cursor = (row: Row) => btoa(row.id);
const notFound = () =>
  new GraphQLError("Record not found", { extensions: { code: "NOT_FOUND", subCode: "RECORD_NOT_FOUND" } });
const isReference = (field: Field) => field.type === "RELATION" && field.relation?.type === "MANY_TO_ONE";
/** How inputs name a field: a related record is given by its id. */
const inputName = (field: Field) => (isReference(field) ? `${field.name}Id` : field.name);
const isPlain = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isThere = (value: unknown) => value !== null && value !== undefined;

const COMPARE: Record<string, (value: unknown, to: unknown) => boolean> = {
  eq: (value, to) => value === to,
  neq: (value, to) => value !== to,
  gte: (value, to) => isThere(value) && (value as string) >= (to as string),
  lt: (value, to) => isThere(value) && (value as string) < (to as string),
  lte: (value, to) => isThere(value) && (value as string) <= (to as string),
  ilike: (value, to) => pattern(String(to)).test(String(value ?? "")),
  is: (value, to) => isThere(value) !== (to === "NULL"),
};

function matches(row: unknown, filter: Filter): boolean {
  return Object.entries(filter).every(([key, condition]) => {
    if (key === "and") return (condition as Filter[]).every((one) => matches(row, one));
    if (key === "or") return (condition as Filter[]).some((one) => matches(row, one));
    if (key === "not") return !matches(row, condition as Filter);
    const compare = COMPARE[key];
    if (compare) return compare(row, condition);
    return matches(isPlain(row) ? (row as Record<string, unknown>)[key] : undefined, condition as Filter);
  });
}

function pattern(like: string): RegExp {
  const source = like.replace(/\\(.)|[%]|[.*+?^${}()|[\]]/g, (found, escaped: string | undefined) =>
    found === "%" ? ".*" : escaped ? `\\${escaped}` : `\\${found}`,
  );
  return new RegExp(`^${source}$`, "is");
}

function ordered(rows: Row[], orderBy: Record<string, unknown>[]): Row[] {
  const steps = orderBy.flatMap((entry) =>
    Object.entries(entry).flatMap(([name, way]) =>
      typeof way === "string"
        ? [{ path: [name], way }]
        : Object.entries(way as object).map(([inner, direction]) => ({ path: [name, inner], way: String(direction) })),
    ),
  );
  const read = (row: Row, path: string[]) =>
    path.reduce<unknown>((value, name) => (value as Record<string, unknown> | null | undefined)?.[name], row);
  return [...rows].sort((a, b) => {
    for (const { path, way } of steps) {
      const [x, y] = [read(a, path), read(b, path)];
      if (x === y) continue;
      if (x === null || x === undefined) return 1;
      if (y === null || y === undefined) return -1;
      return (x < y ? -1 : 1) * (way.startsWith("Desc") ? -1 : 1);
    }
    return 0;
  });
}

const COMPOSITES: Record<string, { type: string; parts: Record<string, string> }> = {
  FULL_NAME: { type: "FullName", parts: { firstName: "String", lastName: "String" } },
  EMAILS: { type: "Emails", parts: { primaryEmail: "String", additionalEmails: "JSON" } },
  PHONES: {
    type: "Phones",
    parts: {
      primaryPhoneNumber: "String",
      primaryPhoneCountryCode: "String",
      primaryPhoneCallingCode: "String",
      additionalPhones: "JSON",
    },
  },
  LINKS: { type: "Links", parts: { primaryLinkLabel: "String", primaryLinkUrl: "String", secondaryLinks: "JSON" } },
  CURRENCY: { type: "Currency", parts: { amountMicros: "BigFloat", currencyCode: "String" } },
  ADDRESS: {
    type: "Address",
    parts: {
      addressStreet1: "String",
      addressStreet2: "String",
      addressCity: "String",
      addressPostcode: "String",
      addressState: "String",
      addressCountry: "String",
      addressLat: "BigFloat",
      addressLng: "BigFloat",
    },
  },
};

const SCALARS: Record<string, string> = {
  UUID: "UUID",
  TEXT: "String",
  NUMBER: "Float",
  BOOLEAN: "Boolean",
  DATE_TIME: "DateTime",
  DATE: "Date",
  POSITION: "Position",
};

const FILTERS: Record<string, string> = {
  UUID: "UUIDFilter",
  String: "StringFilter",
  Float: "FloatFilter",
  Position: "FloatFilter",
  BigFloat: "BigFloatFilter",
  Boolean: "BooleanFilter",
  DateTime: "DateTimeFilter",
  Date: "DateFilter",
};

function recordsSchema(objects: ObjectInfo[]): string {
  const enumName = (object: ObjectInfo, field: Field) =>
    `${typeName(object)}${field.name[0]!.toUpperCase()}${field.name.slice(1)}Enum`;
  const lines: string[] = [
    "scalar UUID scalar DateTime scalar Date scalar BigFloat scalar JSON scalar Position",
    "enum OrderByDirection { AscNullsFirst AscNullsLast DescNullsFirst DescNullsLast }",
    "enum FilterIs { NULL NOT_NULL }",
    "type PageInfo { hasNextPage: Boolean hasPreviousPage: Boolean startCursor: String endCursor: String }",
    "input BooleanFilter { eq: Boolean is: FilterIs }",
    "input StringFilter { eq: String neq: String gte: String lte: String startsWith: String like: String ilike: String in: [String!] is: FilterIs }",
  ];
  for (const [filter, scalar] of [
    ["UUIDFilter", "UUID"],
    ["FloatFilter", "Float"],
    ["BigFloatFilter", "BigFloat"],
    ["DateTimeFilter", "DateTime"],
    ["DateFilter", "Date"],
  ])
    lines.push(
      `input ${filter} { eq: ${scalar} neq: ${scalar} gt: ${scalar} gte: ${scalar} lt: ${scalar} lte: ${scalar} in: [${scalar}!] is: FilterIs }`,
    );
  for (const { type, parts } of Object.values(COMPOSITES)) {
    const body = (to: (part: string) => string) =>
      Object.entries(parts)
        .map(([name, part]) => `${name}: ${to(part)}`)
        .join(" ");
    lines.push(`type ${type} { ${body((part) => part)} }`);
    for (const way of ["Create", "Update"]) lines.push(`input ${type}${way}Input { ${body((part) => part)} }`);
    lines.push(`input ${type}FilterInput { ${body((part) => FILTERS[part] ?? "StringFilter")} }`);
    lines.push(`input ${type}OrderByInput { ${body(() => "OrderByDirection")} }`);
  }
  const queries: string[] = [];
  const mutations: string[] = [];
  for (const object of objects) {
    const type = typeName(object);
    const out: string[] = [];
    const filter = [`and: [${type}FilterInput]`, `or: [${type}FilterInput]`, `not: ${type}FilterInput`];
    const order: string[] = [];
    const input: Record<"Create" | "Update", string[]> = { Create: [], Update: [] };
    for (const field of object.fieldsList) {
      const composite = COMPOSITES[field.type];
      const both = (of: (way: string) => string, name = field.name) =>
        (["Create", "Update"] as const).forEach((way) => input[way].push(`${name}: ${of(way)}`));
      if (composite) {
        out.push(`${field.name}: ${composite.type}`);
        filter.push(`${field.name}: ${composite.type}FilterInput`);
        order.push(`${field.name}: ${composite.type}OrderByInput`);
        both((way) => `${composite.type}${way}Input`);
      } else if (isReference(field)) {
        const target = objects.find((one) => one.nameSingular === field.relation!.targetObjectMetadata.nameSingular)!;
        out.push(`${field.name}: ${typeName(target)}`, `${field.name}Id: ID`);
        filter.push(`${field.name}Id: UUIDFilter`);
        both(() => "ID", inputName(field));
      } else if (field.type === "SELECT" || field.type === "MULTI_SELECT") {
        const name = enumName(object, field);
        lines.push(`enum ${name} { ${field.options!.map((one) => one.value).join(" ")} }`);
        lines.push(`input ${name}Filter { eq: ${name} neq: ${name} in: [${name}] is: FilterIs }`);
        const shape = field.type === "MULTI_SELECT" ? `[${name}]` : name;
        out.push(`${field.name}: ${shape}`);
        filter.push(`${field.name}: ${name}Filter`);
        both(() => shape);
      } else if (SCALARS[field.type]) {
        const scalar = SCALARS[field.type]!;
        out.push(`${field.name}: ${scalar}`);
        filter.push(`${field.name}: ${FILTERS[scalar]}`);
        order.push(`${field.name}: OrderByDirection`);
        both(() => (scalar === "UUID" ? "ID" : scalar));
      }
    }
    lines.push(
      `type ${type} { ${out.join(" ")} }`,
      `type ${type}Edge { node: ${type}! cursor: String! }`,
      `type ${type}Connection { edges: [${type}Edge!]! pageInfo: PageInfo! totalCount: Int! }`,
      `input ${type}FilterInput { ${filter.join(" ")} }`,
      `input ${type}OrderByInput { ${order.join(" ")} }`,
      `input ${type}CreateInput { ${input.Create.join(" ")} }`,
      `input ${type}UpdateInput { ${input.Update.join(" ")} }`,
    );
    queries.push(
      `${object.namePlural}(filter: ${type}FilterInput, orderBy: [${type}OrderByInput], first: Int, after: String): ${type}Connection!`,
      `${object.nameSingular}(filter: ${type}FilterInput): ${type}`,
    );
    mutations.push(
      `create${type}(data: ${type}CreateInput!): ${type}`,
      `update${type}(id: UUID!, data: ${type}UpdateInput!): ${type}`,
      `delete${type}(id: UUID!): ${type}`,
      `restore${type}(id: UUID!): ${type}`,
    );
  }
  return [...lines, `type Query { ${queries.join(" ")} }`, `type Mutation { ${mutations.join(" ")} }`].join("\n");
}

const METADATA_SCHEMA = `
  scalar UUID scalar JSON scalar ConnectionCursor
  input CursorPaging { first: Int after: ConnectionCursor }
  type Workspace { id: UUID! displayName: String }
  type User { id: UUID! firstName: String! lastName: String! email: String! currentWorkspace: Workspace }
  type Relation { type: String! targetObjectMetadata: Object! }
  type Field {
    id: UUID! type: String! name: String! label: String! isActive: Boolean isSystem: Boolean isNullable: Boolean
    defaultValue: JSON options: JSON relation: Relation
  }
  type Object {
    id: UUID! nameSingular: String! namePlural: String! labelSingular: String! labelPlural: String! icon: String
    isActive: Boolean! isSystem: Boolean! labelIdentifierFieldMetadataId: UUID fieldsList: [Field!]!
  }
  type ObjectEdge { node: Object! }
  type ObjectConnection { edges: [ObjectEdge!]! }
  type Query { currentUser: User! objects(paging: CursorPaging): ObjectConnection! }
`;
