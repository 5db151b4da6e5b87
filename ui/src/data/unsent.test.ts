import { expect, it, vi } from "vitest";
import type { UnsentWork } from "../host";
import { Drafts } from "./drafts";
import { Edits, type Edit } from "./edits";
import { Unsent } from "./unsent";

const OWNER = { server: "https://crm.example.com", person: "ada@example.com" };
const edit = (id: string): Edit => ({
  key: `person:${id}:city`,
  kind: "update",
  object: "person",
  id,
  field: "city",
  value: "new",
  before: "old",
  name: "Ada",
  state: "waiting",
});

/** A window's work on a disk in memory. Nothing is sent: the server can't be reached. */
function opened(file: UnsentWork = { edits: [], drafts: [] }) {
  const disk = { file, offered: undefined as UnsentWork | undefined, offer: () => undefined as void };
  const storage = {
    keepUnsent: vi.fn(async (_owner: unknown, work: UnsentWork): Promise<void> => void (disk.file = work)),
    takeUnsent: vi.fn(async () => {
      disk.file = { ...disk.file, edits: [...disk.file.edits, ...(disk.offered?.edits ?? [])] };
      disk.offered = undefined;
      return disk.file;
    }),
    onUnsent: async (listener: () => void) => {
      disk.offer = listener;
      return () => undefined;
    },
  };
  const edits = new Edits({ send: async () => undefined, read: async () => undefined });
  edits.setReachable(false);
  const drafts = new Drafts();
  const unsent = new Unsent(storage, edits, drafts);
  return { disk, storage, edits, drafts, unsent };
}
const ids = (edits: readonly unknown[]) => edits.map((one) => (one as Edit).id);

it("nothing that is kept is written over before it was read", async () => {
  const { disk, storage, drafts, unsent, edits } = opened({ edits: [edit("1")], drafts: [] });
  storage.takeUnsent.mockRejectedValueOnce(new Error("The disk does not answer."));
  await unsent.open(OWNER);
  expect(unsent.isKept()).toBe(false);
  expect(ids(disk.file.edits)).toEqual(["1"]);
  drafts.keep({ object: "person", id: "2", name: "Ada", fields: { city: { typed: { "": "x" } } } });
  await vi.waitFor(() => expect(disk.file.drafts).toHaveLength(1));
  expect([ids(disk.file.edits), ids(edits.all()), unsent.isKept()]).toEqual([["1"], ["1"], true]);
});

it("the work of a closed window is taken over, and nothing that was discarded comes back", async () => {
  const { disk, drafts, edits, storage, unsent } = opened({ edits: [edit("1")], drafts: [] });
  await unsent.open(OWNER);
  let written!: () => void;
  storage.keepUnsent.mockImplementationOnce(
    (_owner, work) =>
      new Promise<void>((done) => {
        written = () => {
          disk.file = work;
          done();
        };
      }),
  );
  // While this is being written, the edit is discarded and another window closes.
  drafts.keep({ object: "person", id: "3", name: "Ada", fields: { city: { typed: { "": "x" } } } });
  edits.discard(edit("1").key);
  disk.offered = { edits: [edit("2")], drafts: [] };
  disk.offer();
  written();
  await vi.waitFor(() => expect(ids(edits.all())).toEqual(["2"]));
  await vi.waitFor(() => expect(ids(disk.file.edits)).toEqual(["2"]));
});

it("what another version has kept in a form of its own is left out", async () => {
  const { edits, unsent } = opened({ edits: [{ ...edit("1"), kind: "merge" }, "?", edit("2")], drafts: [null] });
  await unsent.open(OWNER);
  expect(ids(edits.all())).toEqual(["2"]);
});

it("after the end of a session nothing is written any more", async () => {
  const { disk, edits, unsent, storage } = opened();
  await unsent.open(OWNER);
  await edits.submit({ ...edit("1") });
  await vi.waitFor(() => expect(ids(disk.file.edits)).toEqual(["1"]));
  unsent.close();
  edits.clear();
  await Promise.resolve();
  expect(ids(disk.file.edits)).toEqual(["1"]);
  expect(storage.keepUnsent).toHaveBeenCalledOnce();
});
