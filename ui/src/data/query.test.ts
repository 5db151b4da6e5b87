import { print } from "graphql";
import { describe, expect, it } from "vitest";
import { FakeServer } from "../testing/fakeServer";
import { OBJECT_LIST } from "../testing/data";
import type { Field, ObjectInfo } from "./metadata";
import { schemaFrom } from "./metadata";
import {
  canSort,
  countOf,
  createOne,
  deleteOne,
  oneOf,
  pageOf,
  readPage,
  searchIn,
  updateOne,
  type Condition,
  type Operation,
  type Page,
} from "./query";
import { kindOf, shownFields } from "./fields";

const server = new FakeServer();
const schema = schemaFrom({ objects: { edges: OBJECT_LIST.map((node) => ({ node })) } });
const person = schema.bySingular.get("person")!;
const company = schema.bySingular.get("company")!;

async function run({ query, variables }: Operation, on = server): Promise<Record<string, unknown>> {
  const answer = (await on.answer("graphql", { query: print(query), variables })) as {
    data?: Record<string, unknown>;
    errors?: { message: string }[];
  };
  expect(answer.errors?.map((error) => error.message)).toBeUndefined();
  return answer.data!;
}
const page = async (object: ObjectInfo, question: Parameters<typeof pageOf>[2]): Promise<Page> =>
  readPage(object, await run(pageOf(object, schema, question)));
const found = (object: ObjectInfo, conditions: Condition[]) => page(object, { conditions });

describe("objects", () => {
  it("come from the metadata, without those of the system", () => {
    expect(schema.visible.map((object) => object.namePlural)).toEqual([
      "people",
      "companies",
      "opportunities",
      "tasks",
    ]);
  });

  it("show no related lists, no ids and no fields of unknown types", () => {
    const odd: Field = { id: "x", name: "odd", label: "Odd", type: "HOLOGRAM" };
    const names = shownFields({ ...company, fieldsList: [...company.fieldsList, odd] }).map((field) => field.name);
    expect(names).not.toContain("people");
    expect(names).not.toContain("id");
    expect(names).not.toContain("odd");
    expect(names[0]).toBe("name");
    expect(names.slice(-2)).toEqual(["createdAt", "updatedAt"]);
  });
});

describe("a page of records", () => {
  it.each(OBJECT_LIST.map((object) => [object.namePlural, object] as const))(
    "of %s is valid for the server's schema",
    async (_name, object) => {
      await run(pageOf(object, schema, {}));
    },
  );

  it("has the parts of composite fields and related records' names", async () => {
    const { rows, totalCount, hasNextPage } = await page(person, {});
    expect(totalCount).toBe(1000);
    expect(rows).toHaveLength(60);
    expect(hasNextPage).toBe(true);
    expect(rows[0]).toMatchObject({
      name: { firstName: "Ada" },
      emails: { primaryEmail: "ada.lovelace0@example.com" },
      company: { name: "Lovelace Works" },
    });
  });

  it("continues after the last record of the one before", async () => {
    const first = await page(person, {});
    const second = await page(person, { after: first.endCursor });
    expect(new Set([...first.rows, ...second.rows].map((row) => row.id)).size).toBe(120);
  });

  it("is valid for every field that can be sorted by, both ways", async () => {
    for (const object of schema.visible)
      for (const field of shownFields(object).filter(canSort))
        for (const descending of [true, false]) await page(object, { sort: { field: field.name, descending } });
  });

  it("is ordered by the server", async () => {
    const { rows } = await page(company, { sort: { field: "employees", descending: true } });
    const sizes = rows.map((row) => row.employees as number);
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
  });
});

describe("conditions", () => {
  it("are valid for every field and operator", async () => {
    const values: Record<string, string> = {
      text: "a",
      number: "7",
      micros: "7",
      day: "2026-01-01",
      moment: "2026-01-01",
      boolean: "",
      option: "",
    };
    for (const object of schema.visible)
      for (const field of shownFields(object)) {
        const filter = kindOf(field)!.filter;
        for (const operator of filter?.operators ?? []) {
          const value = filter!.holds === "option" ? field.options![0]!.value : values[filter!.holds]!;
          await found(object, [{ field: field.name, operator, value }]);
        }
      }
  });

  it("find a full name by words of both its parts", async () => {
    const { rows, totalCount } = await found(person, [{ field: "name", operator: "contains", value: "ada love" }]);
    expect(totalCount).toBeGreaterThan(0);
    for (const row of rows) expect(row.name).toMatchObject({ firstName: "Ada", lastName: "Lovelace" });
  });

  it("compare amounts in millionths", async () => {
    const { rows } = await found(company, [
      { field: "annualRecurringRevenue", operator: "atLeast", value: "6,900,000" },
    ]);
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows)
      expect((row.annualRecurringRevenue as { amountMicros: number }).amountMicros).toBeGreaterThanOrEqual(
        6_900_000_000_000,
      );
  });

  it("match a typed percent sign literally", async () => {
    expect((await found(company, [{ field: "name", operator: "contains", value: "%" }])).totalCount).toBe(0);
  });

  it("that are incomplete or wrong are not sent", () => {
    const conditions: Condition[] = [
      { field: "employees", operator: "atLeast", value: "many" },
      { field: "name", operator: "contains", value: " " },
      { field: "gone", operator: "is", value: "x" },
    ];
    expect(pageOf(company, schema, { conditions }).variables).not.toHaveProperty("filter");
  });
});

describe("changes", () => {
  it("create, update and delete a record of any object", async () => {
    const own = new FakeServer();
    const created = (await run(createOne(company, schema, { name: "New Works", employees: 3 }), own)).createCompany as {
      id: string;
    };
    const changed = await run(updateOne(company, schema, created.id, { name: "Newer Works" }), own);
    expect(changed.updateCompany).toMatchObject({ id: created.id, name: "Newer Works", employees: 3 });
    expect((await run(oneOf(company, schema, created.id), own)).company).toMatchObject({ name: "Newer Works" });
    await run(deleteOne(company, created.id), own);
    expect(await run(countOf(company), own)).toEqual({ companies: { totalCount: 500 } });
  });

  it("write a relation by its id, and composite values without type names", () => {
    const { variables } = updateOne(person, schema, "1", {
      company: { id: "c1", name: "X", __typename: "Company" },
      emails: { primaryEmail: "a@example.com", __typename: "Emails" },
    });
    expect(variables.input).toEqual({ companyId: "c1", emails: { primaryEmail: "a@example.com" } });
  });
});

it("a search finds records by name", async () => {
  const { rows } = readPage(company, await run(searchIn(company, schema, "lovelace", 5)!));
  expect(rows.length).toBeGreaterThan(0);
});
