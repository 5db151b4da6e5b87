/** Which fields can be emptied, by every editor: in a cell and in the form. */
import { fireEvent, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { TextEditor } from "../data/editing";
import { kindOf, type Row } from "../data/fields";
import type { Field, ObjectInfo } from "../data/metadata";
import { records as words } from "../messages";
import { FakeHost } from "../testing/fakeHost";
import { FakeServer } from "../testing/fakeServer";
import { calls, cell, records, screen, start, waitFor } from "../testing/render";

/** Editors of a whole value. An editor of a part, such as a first name, never takes its field away. */
type Editor = Exclude<TextEditor, "text"> | "relation";

/** A field for each editor, named like it, and its stored value. */
const FIELDS: Record<Editor, { type: string; stored: unknown; more?: Partial<Field> }> = {
  lines: { type: "TEXT", stored: "one" },
  number: { type: "NUMBER", stored: 7 },
  date: { type: "DATE", stored: "2026-05-01" },
  datetime: { type: "DATE_TIME", stored: "2026-05-01T09:41:00.000Z" },
  boolean: { type: "BOOLEAN", stored: true },
  select: { type: "SELECT", stored: "A", more: { options: [{ value: "A", label: "A" }] } },
  relation: {
    type: "RELATION",
    stored: "thing-2",
    more: {
      relation: {
        type: "MANY_TO_ONE",
        targetObjectMetadata: { id: "thing", nameSingular: "thing", namePlural: "things" },
      },
    },
  },
};
const EDITORS = Object.keys(FIELDS) as Editor[];

type User = ReturnType<typeof start>["user"];

/** The application at a server with one object, that has two records with a value in each field. */
async function startWith(isNullable: boolean) {
  const fields = EDITORS.map((name): Field => ({
    id: name,
    name,
    label: name,
    isNullable,
    type: FIELDS[name].type,
    ...FIELDS[name].more,
  }));
  const thing: ObjectInfo = {
    id: "thing",
    nameSingular: "thing",
    namePlural: "things",
    labelSingular: "Thing",
    labelPlural: "Things",
    icon: null,
    isActive: true,
    isSystem: false,
    labelIdentifierFieldMetadataId: "name",
    fieldsList: [
      { id: "id", name: "id", label: "Id", type: "UUID", isSystem: true },
      { id: "name", name: "name", label: "Name", type: "TEXT" },
      ...fields,
    ],
  };
  expect(fields.map((field) => editorOf(field))).toEqual(EDITORS);
  const values = Object.fromEntries(EDITORS.map((name) => [storedName(name), FIELDS[name].stored]));
  const things: Row[] = [
    { ...values, id: "thing-1", name: "Ada Lovelace" },
    { ...values, id: "thing-2", name: "Grace Hopper" },
  ];
  const server = new FakeServer([thing], { thing: things });
  const started = start({}, new FakeHost({}, server));
  await records();
  /** The fields that are empty at the server. */
  const empty = () => EDITORS.filter((name) => [null, ""].includes(things[0]![storedName(name)] as string | null));
  return { ...started, empty };
}

const storedName = (name: Editor) => (name === "relation" ? "relationId" : name);

function editorOf(field: Field): string {
  const edit = kindOf(field)?.edit;
  return edit?.as === "boxes" ? edit.boxes[0]!.as : String(edit?.as);
}

/** Empties an editor in the way that it offers, if it offers one. */
function emptyEditor(editor: HTMLElement): void {
  const clear = within(editor.parentElement!).queryByTestId("relation-clear");
  if (clear) fireEvent.click(clear);
  else if (editor instanceof HTMLSelectElement) {
    const offers = [...editor.options].some((option) => option.value === "");
    if (offers) fireEvent.change(editor, { target: { value: "" } });
  } else fireEvent.change(editor, { target: { value: "" } });
}

/** Empties the cell of each field, one after another. */
async function emptyCells(user: User): Promise<void> {
  for (const name of EDITORS) {
    await user.dblClick(cell(0, name));
    emptyEditor(await screen.findByTestId("cell-editor"));
    await user.keyboard(name === "relation" ? "{Escape}" : "{Enter}");
    await waitFor(() => expect(screen.queryByTestId("cell-editor")).toBeNull());
  }
}

/** Empties each field in the record's form and saves it. Returns the fields that show why they were not emptied. */
async function emptyInForm(user: User): Promise<Editor[]> {
  const refused: Editor[] = [];
  for (const name of EDITORS) {
    await user.click(cell(0, "name"));
    await user.keyboard("{Control>}{Enter}{/Control}");
    emptyEditor(await screen.findByTestId(`field-${name}`));
    await user.click(screen.getByTestId("record-save"));
    await waitFor(() => expect(screen.queryByTestId("record-save") && !screen.queryByText(words.required)).toBeFalsy());
    if (screen.queryByText(words.required)) {
      expect(screen.getByTestId(`field-${name}`)).toHaveAccessibleDescription(words.required);
      refused.push(name);
      await user.click(screen.getByText(words.discard));
    }
    await waitFor(() => expect(screen.queryByTestId("record-save")).toBeNull());
  }
  return refused;
}

describe("in the table", () => {
  it("every editor empties a field that may be empty", async () => {
    const { user, empty } = await startWith(true);
    await emptyCells(user);
    await waitFor(() => expect(empty()).toEqual(EDITORS));
  });

  it("no editor empties a field that must not be empty", async () => {
    const { host, user, empty } = await startWith(false);
    await emptyCells(user);
    expect(await screen.findAllByText(words.notKept("", words.required))).not.toEqual([]);
    expect([empty(), calls(host, "UpdateOneThing")]).toEqual([[], 0]);
  });
});

describe("in the form", () => {
  /** A box to tick is ticked or not. */
  const canBeEmptied = EDITORS.filter((name) => name !== "boolean");

  it("every editor but a tick empties a field that may be empty", async () => {
    const { user, empty } = await startWith(true);
    expect(await emptyInForm(user)).toEqual([]);
    await waitFor(() => expect(empty()).toEqual(canBeEmptied));
  });

  it("no editor empties a field that must not be empty, and typed ones say why", async () => {
    const { host, user, empty } = await startWith(false);
    expect(await emptyInForm(user)).toEqual(["lines", "number", "date", "datetime"]);
    expect([empty(), calls(host, "UpdateOneThing")]).toEqual([[], 0]);
  });
});
