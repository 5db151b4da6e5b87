import { describe, expect, it, vi } from "vitest";
import { FakeError } from "../testing/fakeHost";
import { Edits, overlay, type Draft, type Send } from "./edits";

const draft = (value: string, before = "old", id = "1"): Draft => ({
  kind: "update",
  object: "person",
  id,
  field: "city",
  value,
  before,
  name: "Ada",
});
const row = (value: string, id = "1") => ({ id, city: value });

function scripted(...outcomes: (Error | "ok")[]) {
  const send = vi.fn<Send>(async (edit) => {
    const outcome = outcomes.shift() ?? "ok";
    if (outcome !== "ok") throw outcome;
    return row(String(edit.value), edit.id);
  });
  return { send, edits: new Edits(send) };
}

describe("an edit", () => {
  it("that the server accepts leaves the list", async () => {
    const { edits } = scripted();
    const sent = vi.fn();
    edits.onSent(sent);
    expect(await edits.submit(draft("new"))).toBe("done");
    expect(edits.all()).toEqual([]);
    expect(sent).toHaveBeenCalledOnce();
  });

  it.each(["unreachable", "signed_out", "locked", "too_many_calls"] as const)(
    "that fails with %s stays on the screen and is sent later",
    async (code) => {
      const { edits, send } = scripted(new FakeError(code));
      expect(await edits.submit(draft("new"))).toBe("waiting");
      expect(overlay([row("old")], edits.all(), "person")).toEqual([row("new")]);
      await edits.flush();
      expect(send).toHaveBeenCalledTimes(2);
      expect(edits.all()).toEqual([]);
    },
  );

  it.each(["maybe_executed", "already_ran", "timed_out"] as const)(
    "that fails with %s is never sent again by itself",
    async (code) => {
      const { edits, send } = scripted(new FakeError(code));
      expect(await edits.submit(draft("new"))).toBe("uncertain");
      await edits.flush();
      expect(send).toHaveBeenCalledOnce();
      expect(edits.all()).toHaveLength(1);
      await edits.retry(edits.all()[0]!.key);
      expect(send).toHaveBeenCalledTimes(2);
    },
  );

  it("that the server refuses is kept with its reason", async () => {
    const { edits } = scripted(new Error("Too long."));
    expect(await edits.submit(draft("new"))).toBe("failed");
    expect(edits.all()[0]).toMatchObject({ value: "new", message: "Too long." });
  });

  it("made while an earlier one of its cell is being sent follows it", async () => {
    let answer!: () => void;
    const hold = new Promise<void>((resolve) => (answer = resolve));
    const values: unknown[] = [];
    const send: Send = async (edit) => {
      values.push(edit.value);
      await hold;
      return row(String(edit.value));
    };
    const edits = new Edits(send);
    const first = edits.submit(draft("one"));
    await edits.submit(draft("two", "one"));
    answer();
    await first;
    expect(values).toEqual(["one", "two"]);
    expect(edits.all()).toEqual([]);
  });

  it("that waits and is put back to what the server holds is dropped", async () => {
    const { edits, send } = scripted(new FakeError("unreachable"));
    await edits.submit(draft("new"));
    await edits.submit(draft("old", "new"));
    expect(edits.all()).toEqual([]);
    expect(send).toHaveBeenCalledOnce();
  });
});

describe("all that waits", () => {
  it("is sent in order, up to the first edit that has to wait again", async () => {
    const away = () => new FakeError("unreachable");
    const { edits, send } = scripted(away(), away(), "ok", away());
    await edits.submit(draft("a", "old", "1"));
    await edits.submit(draft("b", "old", "2"));
    await edits.flush();
    expect(send.mock.calls.map(([edit]) => edit.id)).toEqual(["1", "2", "1", "2"]);
    expect(edits.all().map((edit) => [edit.id, edit.state])).toEqual([["2", "waiting"]]);
  });

  it("is dropped when another person signs in, and late answers too", async () => {
    let refuse!: (error: Error) => void;
    const edits = new Edits(() => new Promise((_, reject) => (refuse = reject)));
    const outcome = edits.submit(draft("new"));
    edits.clear();
    refuse(new FakeError("unreachable"));
    await outcome;
    expect(edits.all()).toEqual([]);
  });
});

it("undo sends what the cell held before, and goes back step by step", async () => {
  const { edits, send } = scripted();
  await edits.submit(draft("one", "zero"));
  await edits.submit(draft("two", "one"));
  await edits.undo();
  await edits.undo();
  expect(send.mock.calls.map(([edit]) => edit.value)).toEqual(["one", "two", "one", "zero"]);
  expect(edits.undo()).toBeUndefined();
});

it("new records stand above the loaded ones until the server has answered", async () => {
  const { edits } = scripted(new FakeError("unreachable"));
  await edits.submit({ kind: "create", object: "person", id: "new:1", value: { city: "Turku" }, name: "" });
  expect(overlay([row("old")], edits.all(), "person")).toEqual([{ id: "new:1", city: "Turku" }, row("old")]);
});
