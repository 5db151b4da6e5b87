import { expect, it } from "vitest";
import { OBJECT_LIST, seed } from "../testing/data";
import { sameValue } from "./edits";
import { kindOf } from "./fields";
import { schemaFrom } from "./metadata";

const { visible } = schemaFrom({ objects: { edges: OBJECT_LIST.map((node) => ({ node })) } });
const records = seed();

const edited = visible.flatMap((object) =>
  object.fieldsList.flatMap((field) => {
    const edit = kindOf(field)?.edit;
    return edit && edit.as !== "relation" ? [{ type: field.type, object, field, edit }] : [];
  }),
);

it.each(edited)("an editor of type $type that is left as it opened changes nothing", ({ object, field, edit }) => {
  for (const row of records[object.nameSingular]!) {
    const value = row[field.name];
    const result = edit.parse(edit.start(value, field), value);
    expect([value, result, sameValue(result, value)]).toEqual([value, result, true]);
  }
});

it("a number that is none is refused", () => {
  const number = edited.find(({ type }) => type === "NUMBER")!;
  expect(() => number.edit.parse("-", 1)).toThrow();
  expect(number.edit.parse("1,234", 1)).toBe(1234);
});
