import { CombinedGraphQLErrors, ServerError } from "@apollo/client/errors";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeError } from "../testing/fakeError";
import { Edits, overlay, type Draft, type Server } from "./edits";
import { serverErrors } from "../messages";
import type { Row } from "./fields";

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

/** A server that answers as scripted, and then accepts everything. What it holds is in `stored`. */
function scripted(...outcomes: (Error | "ok")[]) {
  const stored: Record<string, Row | undefined> = { 1: row("old"), 2: row("old", "2") };
  const send = vi.fn<Server["send"]>(async (edit) => {
    const outcome = outcomes.shift() ?? "ok";
    if (outcome !== "ok") throw outcome;
    stored[edit.id] = row(String(edit.value), edit.id);
    return stored[edit.id];
  });
  const read = vi.fn<Server["read"]>(async (edit) => stored[edit.id]);
  return { send, read, stored, edits: new Edits({ send, read }) };
}

// What waits is tried again by itself; here only where a test lets time pass.
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

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

  it.each([502, 503, 504])("that a gateway answers with %i waits, and is sent by itself", async (status) => {
    const response = new Response("<html>", { status });
    const away = new ServerError("Received status code", { response, bodyText: "<html>" });
    const { edits, send, stored } = scripted(away, away);
    expect(await edits.submit(draft("new"))).toBe("waiting");
    expect(edits.all()[0]!.message).not.toContain("status code");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(send).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(send).toHaveBeenCalledTimes(3);
    expect([stored["1"], edits.all()]).toEqual([row("new"), []]);
  });

  it("made while the server can't be reached waits, and nothing is sent until it can be", async () => {
    const { edits, send, read } = scripted();
    edits.setReachable(false);
    expect(await edits.submit(draft("a"))).toBe("waiting");
    expect(await edits.submit(draft("b", "old", "2"))).toBe("waiting");
    await edits.flush();
    await vi.advanceTimersByTimeAsync(600_000);
    expect([send.mock.calls, read.mock.calls]).toEqual([[], []]);
    edits.setReachable(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(send.mock.calls.map(([edit]) => edit.value)).toEqual(["a", "b"]);
    expect(edits.all()).toEqual([]);
  });

  it("that the server refuses is kept with its reason", async () => {
    const { edits } = scripted(new CombinedGraphQLErrors({ errors: [{ message: "Too long." }] }));
    expect(await edits.submit(draft("new"))).toBe("failed");
    expect(edits.all()[0]).toMatchObject({ value: "new", message: "Too long." });
  });

  it.each([
    'null value in column "stage" of relation "opportunity" violates not-null constraint',
    "Cannot read properties of undefined (reading 'map')",
    "connect ECONNREFUSED 127.0.0.1:5432",
  ])("that is refused with “%s” shows none of these words", async (message) => {
    const { edits } = scripted(new CombinedGraphQLErrors({ errors: [{ message }] }));
    await edits.submit(draft("new"));
    expect(edits.all()[0]!.message).toBe(serverErrors.refused);
  });

  it("made while an earlier one of its cell is being sent follows it", async () => {
    let answer!: () => void;
    const hold = new Promise<void>((resolve) => (answer = resolve));
    const values: unknown[] = [];
    const send: Server["send"] = async (edit) => {
      values.push(edit.value);
      await hold;
      return row(String(edit.value));
    };
    const edits = new Edits({ send, read: async () => undefined });
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

describe("an edit whose answer was lost", () => {
  const codes = ["maybe_executed", "already_ran", "timed_out"] as const;

  it.each(codes)("with %s is dropped where the server has it", async (code) => {
    const { edits, send, stored } = scripted(new FakeError(code));
    expect(await edits.submit(draft("new"))).toBe("uncertain");
    stored["1"] = row("new");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(send).toHaveBeenCalledOnce();
    expect(edits.all()).toEqual([]);
  });

  it.each(codes)("with %s is sent again where the server does not have it", async (code) => {
    const { edits, send, stored } = scripted(new FakeError(code));
    await edits.submit(draft("new"));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(send).toHaveBeenCalledTimes(2);
    expect([stored["1"], edits.all()]).toEqual([row("new"), []]);
  });

  it("asks only where somebody else has changed the field", async () => {
    const { edits, send, stored } = scripted(new FakeError("maybe_executed"));
    await edits.submit(draft("new"));
    stored["1"] = row("theirs");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(edits.all()[0]).toMatchObject({ state: "conflict", value: "new" });
    await vi.advanceTimersByTimeAsync(600_000);
    expect(send).toHaveBeenCalledOnce();
    await edits.retry(edits.all()[0]!.key);
    expect([stored["1"], edits.all()]).toEqual([row("new"), []]);
  });

  it("is no conflict with a later edit of the same cell", async () => {
    const { edits, stored } = scripted(new FakeError("maybe_executed"), new FakeError("unreachable"));
    await edits.submit(draft("one"));
    stored["1"] = row("one");
    await edits.submit(draft("two", "one"));
    await edits.flush();
    expect([stored["1"], edits.all()]).toEqual([row("two"), []]);
  });

  it("waits for the record to be read before anything is sent", async () => {
    const { edits, send, read } = scripted(new FakeError("maybe_executed"));
    read.mockRejectedValue(new FakeError("unreachable"));
    await edits.submit(draft("new"));
    await vi.advanceTimersByTimeAsync(3_000);
    expect(edits.all()[0]!.state).toBe("uncertain");
    expect(read.mock.calls.length).toBeGreaterThan(1);
    expect(send).toHaveBeenCalledOnce();
  });

  it("of one part of a field leaves the parts that somebody else has changed meanwhile", async () => {
    const { edits, send, stored } = scripted();
    const phones = { number: "1", code: "+44", others: ["2"] };
    const name = { kind: "update", object: "person", id: "1", field: "phones", name: "Ada" } as const;
    send.mockImplementationOnce(async () => {
      throw new FakeError("unreachable");
    });
    await edits.submit({ ...name, value: { ...phones, number: "7" }, before: phones });
    stored["1"] = { id: "1", phones: { ...phones, others: ["2", "3"], __typename: "Phones" } };
    await edits.flush();
    expect(send.mock.lastCall![0].value).toEqual({ number: "7", code: "+44", others: ["2", "3"] });

    stored["1"] = { id: "1", phones: { ...phones, number: "theirs" } };
    send.mockImplementationOnce(async () => {
      throw new FakeError("unreachable");
    });
    await edits.submit({ ...name, value: { ...phones, number: "8" }, before: phones });
    await edits.flush();
    expect(edits.all()[0]).toMatchObject({ state: "conflict", value: { number: "8", others: ["2"] } });
  });

  it("creates a record once, which is found by its own id", async () => {
    const { edits, send, stored } = scripted(new FakeError("maybe_executed"));
    await edits.submit({ kind: "create", object: "person", id: "new:7", value: { city: "Turku" }, name: "" });
    stored["new:7"] = row("Turku", "7");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(send).toHaveBeenCalledOnce();
    expect(edits.all()).toEqual([]);
  });

  it("that was being sent when the application ended is looked for at the next start", async () => {
    const { edits, send, stored } = scripted();
    stored["1"] = row("new");
    edits.adopt([{ ...draft("new"), key: "person:1:city", state: "sending" }]);
    await vi.advanceTimersByTimeAsync(0);
    expect(send).not.toHaveBeenCalled();
    expect(edits.all()).toEqual([]);
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
    const edits = new Edits({
      send: () => new Promise((_, reject) => (refuse = reject)),
      read: async () => undefined,
    });
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

it("undo deletes what was created and restores what was deleted", async () => {
  const { edits, send } = scripted();
  await edits.submit({ kind: "create", object: "person", id: "new:7", value: {}, name: "" });
  await edits.submit({ kind: "delete", object: "person", id: "1", value: null, name: "" });
  await edits.undo();
  await edits.undo();
  expect(send.mock.calls.slice(2).map(([edit]) => [edit.kind, edit.id])).toEqual([
    ["restore", "1"],
    ["delete", "7"],
  ]);
});

it("undo of a deletion that waits sends nothing", async () => {
  const { edits, send } = scripted();
  edits.setReachable(false);
  await edits.submit({ kind: "delete", object: "person", id: "1", value: null, name: "" });
  await edits.undo();
  edits.setReachable(true);
  await vi.advanceTimersByTimeAsync(0);
  expect(send).not.toHaveBeenCalled();
  expect(edits.all()).toEqual([]);
});
