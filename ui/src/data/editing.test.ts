/** Laws of every editor, over values and texts at random: what a person does not touch stays as it is. */
import fc from "fast-check";
import { print } from "graphql";
import { describe, expect, it } from "vitest";
import { OBJECT_LIST } from "../testing/data";
import { FakeServer } from "../testing/fakeServer";
import { boxKey, edited, partsOf, startOf, type Box, type Boxes, type Parts, type Typed, type Value } from "./editing";
import { sameValue } from "./edits";
import { kindOf, type Row } from "./fields";
import { schemaFrom, type Field, type ObjectInfo } from "./metadata";
import { oneOf, updateOne, type Operation } from "./query";

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc
    .array(fc.constantFrom("a", "Ä", " ", "\n", "\r\n", "\t", '"', "1,5", "+44 1"), { maxLength: 5 })
    .map((all) => all.join("")),
);
const nothing = fc.constantFrom(null, undefined);
const maybe = (one: fc.Arbitrary<Value>) => fc.oneof({ weight: 4, arbitrary: one }, { weight: 1, arbitrary: nothing });
const amount = fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -999, max: 999 }), fc.maxSafeInteger().map(String));
const list = fc.oneof(
  fc.constant(null),
  fc.array(fc.dictionary(fc.constantFrom("url", "label", "number"), text), { maxLength: 2 }),
);
const day = fc.date({ min: new Date("0100-01-01"), max: new Date("9999-01-01"), noInvalidDate: true });
const words = ["RATING_1", "RATING_2", "RATING_3"];
const options = words.map((value) => ({ value, label: value }));

/** The stored values of each type of field that can be edited in boxes. */
const STORED: Record<string, fc.Arbitrary<Value>> = {
  TEXT: maybe(text),
  NUMBER: maybe(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.constant(0.0004))),
  NUMERIC: maybe(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger().map(String))),
  BOOLEAN: maybe(fc.boolean()),
  DATE: maybe(day.map((at) => at.toISOString().slice(0, 10))),
  DATE_TIME: maybe(day.map((at) => at.toISOString())),
  SELECT: maybe(fc.constantFrom(...words)),
  RATING: maybe(fc.constantFrom(...words)),
  FULL_NAME: maybe(fc.record({ firstName: maybe(text), lastName: maybe(text) })),
  EMAILS: maybe(fc.record({ primaryEmail: maybe(text), additionalEmails: list })),
  LINKS: maybe(fc.record({ primaryLinkUrl: maybe(text), primaryLinkLabel: maybe(text), secondaryLinks: list })),
  PHONES: maybe(
    fc.record({
      primaryPhoneNumber: maybe(text),
      primaryPhoneCallingCode: maybe(fc.constantFrom("+44", "+1", "")),
      primaryPhoneCountryCode: maybe(fc.constantFrom("GB", "US", "")),
      additionalPhones: list,
    }),
  ),
  CURRENCY: maybe(fc.record({ amountMicros: maybe(amount), currencyCode: maybe(fc.constantFrom("EUR", "USD", "")) })),
  ADDRESS: maybe(
    fc.record({
      addressStreet1: maybe(text),
      addressStreet2: maybe(text),
      addressCity: maybe(text),
      addressPostcode: maybe(text),
      addressState: maybe(text),
      addressCountry: maybe(text),
      addressLat: maybe(fc.double({ noNaN: true, noDefaultInfinity: true })),
      addressLng: maybe(fc.double({ noNaN: true, noDefaultInfinity: true })),
    }),
  ),
};

/** Parts that follow from another one: the country of a code, the currency of a first amount. */
const FOLLOWS: Record<string, string[]> = {
  primaryPhoneNumber: ["primaryPhoneCallingCode", "primaryPhoneCountryCode"],
  primaryPhoneCallingCode: ["primaryPhoneCountryCode"],
  amountMicros: ["currencyCode"],
};

const fieldOf = (type: string): Field => ({ id: type, type, name: "own", label: "Own", options, isNullable: true });
const boxesOf = (field: Field): Boxes => {
  const edit = kindOf(field)?.edit;
  if (edit?.as !== "boxes") throw new Error(`${field.type} has no boxes.`);
  return edit;
};
/** A text that a person may type into a box of this kind. */
const typedInto = (box: Box): fc.Arbitrary<string> => {
  switch (box.as) {
    case "text":
    case "lines":
      return text;
    case "number":
      return fc.integer({ min: -1_000_000, max: 1_000_000 }).map(String);
    case "date":
      return fc.constantFrom("2026-05-01", "1999-12-31");
    case "datetime":
      return fc.constantFrom("2026-05-01T09:41", "1999-12-31T23:59");
    case "boolean":
      return fc.constantFrom("true", "false");
    case "select":
      return fc.constantFrom(...words);
  }
};
const cases = Object.entries(STORED).map(([type, stored]) => ({ type, stored, field: fieldOf(type) }));

it("every type of field that can be edited in boxes is among the laws", () => {
  const types = OBJECT_LIST.flatMap((object) => object.fieldsList)
    .filter((field) => kindOf(field)?.edit?.as === "boxes")
    .map((field) => field.type);
  expect(Object.keys(STORED)).toEqual(expect.arrayContaining([...new Set(types)]));
});

describe.each(cases)("an editor of type $type", ({ stored, field }) => {
  const edit = boxesOf(field);

  it("that is left without a change changes nothing", () => {
    fc.assert(
      fc.property(stored, fc.boolean(), (value, isTouched) => {
        const same: Typed = isTouched
          ? Object.fromEntries(edit.boxes.map((box) => [boxKey(box), startOf(box, value)]))
          : {};
        expect(edited(edit, same, value, field)).toBe(value);
      }),
    );
  });

  it("in which one box is changed changes only its part", () => {
    for (const box of edit.boxes)
      fc.assert(
        fc.property(stored, typedInto(box), (value, typed) => {
          const after = edited(edit, { [boxKey(box)]: typed }, value, field);
          if (typed === startOf(box, value)) expect(after).toBe(value);
          else if (box.part !== undefined) {
            const mayChange = new Set([box.part, ...(FOLLOWS[box.part] ?? [])]);
            for (const [name, part] of Object.entries(partsOf(value)))
              if (!mayChange.has(name)) expect((after as Parts)[name]).toBe(part);
          }
        }),
      );
  });

  it("gives back a changed text as it was typed", () => {
    const changesTexts = ["primaryPhoneNumber", "currencyCode"];
    for (const box of edit.boxes.filter(({ as, part = "" }) => /text|lines/.test(as) && !changesTexts.includes(part)))
      fc.assert(
        fc.property(stored, text, (value, typed) => {
          const plain = typed.replace(/\r\n?/g, "\n");
          const after = edited(edit, { [boxKey(box)]: plain }, value, field);
          const shown = startOf(box, after);
          expect(shown).toBe(box.as === "lines" || plain === startOf(box, value) ? plain : plain.trim());
        }),
      );
  });
});

describe("through a server that replaces composite values", () => {
  const schema = schemaFrom({ objects: { edges: OBJECT_LIST.map((node) => ({ node })) } });
  const composite = schema.visible.flatMap((object) =>
    object.fieldsList
      .filter((field) => kindOf(field)?.parts && kindOf(field)?.edit)
      .map((field) => ({ object, field, type: field.type })),
  );

  it.each(composite)("editing one part of $type in $object.namePlural keeps every other stored part", async (one) => {
    const { object, field } = one;
    const server = new FakeServer();
    const edit = boxesOf(field);
    for (const record of server.records[object.nameSingular]!.slice(0, 60)) {
      const before = { ...partsOf(record[field.name]) };
      const row = await ask(server, oneOf(object, schema, record.id), object.nameSingular);
      const box = edit.boxes.find((each) => each.part === edit.main) ?? edit.boxes[0]!;
      const value = edited(edit, { [boxKey(box)]: box.as === "number" ? "77" : "changed" }, row[field.name], field);
      await ask(server, updateOne(object, schema, record.id, { [field.name]: value }), `update${type(object)}`);
      const after = partsOf(record[field.name]);
      for (const [name, part] of Object.entries(before))
        if (name !== box.part) expect([name, after[name]]).toEqual([name, part]);
      expect(after[box.part!]).not.toEqual(before[box.part!]);
      expect(sameValue(before, after)).toBe(false);
    }
  });
});

const type = (object: ObjectInfo) => object.nameSingular[0]!.toUpperCase() + object.nameSingular.slice(1);

async function ask(server: FakeServer, { query, variables }: Operation, answer: string): Promise<Row> {
  const { data, errors } = (await server.answer("graphql", { query: print(query), variables })) as {
    data?: Record<string, Row>;
    errors?: { message: string }[];
  };
  expect(errors).toBeUndefined();
  return data![answer]!;
}
