/** What was typed and not sent survives: another page, the end of the application, a sign-out. */
import { act } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { RecordDraft } from "./data/drafts";
import { DEMO, FakeHost, ownerKey } from "./testing/fakeHost";
import { calls, cell, records, screen, start, typeInto, waitFor } from "./testing/render";

const TIM = ownerKey({ server: DEMO.server, person: DEMO.email });
const away = (host: FakeHost) => act(() => host.set({ phase: "unreachable", unreachable: "server" }));

/** Edits one cell while the server is away, and waits until the disk has it. */
async function editOffline() {
  const started = start();
  await records();
  away(started.host);
  await started.user.type(await typeInto(started.user, 0, "city", "Atlantis"), "{Enter}");
  await waitFor(() => expect(started.host.disk.get(TIM)?.edits).toHaveLength(1));
  return started;
}

async function signIn(user: ReturnType<typeof start>["user"], email: string) {
  await user.clear(await screen.findByTestId("sign-in-email"));
  await user.type(screen.getByTestId("sign-in-email"), email);
  await user.clear(screen.getByTestId("sign-in-password"));
  await user.type(screen.getByTestId("sign-in-password"), "open-sesame");
  await user.click(screen.getByTestId("sign-in-submit"));
  await records();
}

describe("an edit that waits", () => {
  it("is shown at the next start, and sent then", async () => {
    const { host, view } = await editOffline();
    view.unmount();
    const { host: next } = start({}, host);
    await records();
    await waitFor(() => expect(next.server.records.person![0]!.city).toBe("Atlantis"));
    await waitFor(() => expect(screen.queryByTestId("pending-edits")).toBeNull());
    await waitFor(() => expect(next.disk.get(TIM)).toEqual({ edits: [], drafts: [] }));
  });

  it("is shown at a start without the server, and stays on the disk", async () => {
    const { host, view } = await editOffline();
    view.unmount();
    const { host: next } = start({ phase: "unreachable", unreachable: "server" }, host);
    await records();
    expect(await screen.findByTestId("pending-edits")).toHaveAttribute("data-count", "1");
    expect(cell(0, "city")).toHaveTextContent("Atlantis");
    expect(calls(next, "UpdateOnePerson")).toBe(0);
    expect(next.disk.get(TIM)?.edits).toHaveLength(1);
  });

  it("belongs to its own account after a sign-out, and to nobody else's session", async () => {
    const { host, user } = await editOffline();
    await user.keyboard("{Control>}{Shift>}o{/Shift}{/Control}");
    await user.click(await screen.findByTestId("sign-out-anyway"));
    await signIn(user, "ada@example.com");
    expect(screen.queryByTestId("pending-edits")).toBeNull();
    expect(calls(host, "UpdateOnePerson")).toBe(0);
    await user.click(screen.getByTestId("account-menu"));
    await user.click(await screen.findByTestId("menu-sign-out"));
    await signIn(user, DEMO.email);
    await waitFor(() => expect(host.server.records.person![0]!.city).toBe("Atlantis"));
  });

  it("is removed with the account where the person wants it so", async () => {
    const { host, user } = await editOffline();
    await user.click(screen.getByTestId("account-menu"));
    await user.click(await screen.findByTestId("menu-sign-out"));
    await user.click(await screen.findByTestId("sign-out-remove"));
    await waitFor(() => expect(host.disk.has(TIM)).toBe(false));
    await signIn(user, DEMO.email);
    expect(screen.queryByTestId("pending-edits")).toBeNull();
    expect(host.server.records.person![0]!.city).not.toBe("Atlantis");
  });

  it("asks before quitting only where the disk did not take it", async () => {
    const { host, user } = await editOffline();
    host.diskIsFull = true;
    await user.type(await typeInto(user, 1, "city", "Utopia"), "{Enter}");
    await user.click(await screen.findByTestId("pending-edits"));
    expect(await screen.findByRole("alert")).toHaveTextContent("lost when you quit");
    act(() => host.close());
    expect(await screen.findByTestId("quit-dialog")).toHaveTextContent("could not store them");
    expect(host.answers).toEqual([]);
    await user.click(screen.getByTestId("quit-anyway"));
    expect(host.answers).toEqual(["quit"]);
  });
});

describe("a draft", () => {
  it("is kept over another object and a new start, with a sign that leads back to it", async () => {
    const { host, user, view } = start();
    await records();
    await user.click(screen.getByTestId("new-record"));
    await user.type(await screen.findByTestId("field-jobTitle"), "Pearl diver");
    await user.keyboard("{Escape}");
    await user.click(screen.getByTestId("object-companies"));
    await screen.findByText("Lovelace Works");
    expect(screen.getByTestId("drafts")).toHaveTextContent("1 draft");
    await waitFor(() => expect(host.disk.get(TIM)?.drafts).toHaveLength(1));
    view.unmount();

    const { user: again, host: next } = start({}, host);
    await again.click(await screen.findByTestId("drafts"));
    await again.click(await screen.findByTestId("draft-continue"));
    expect(await screen.findByTestId("field-jobTitle")).toHaveValue("Pearl diver");
    await again.click(screen.getByTestId("record-save"));
    await waitFor(() => expect(next.server.records.person![0]!.jobTitle).toBe("Pearl diver"));
    await waitFor(() => expect(screen.queryByTestId("drafts")).toBeNull());
    await waitFor(() => expect(next.disk.get(TIM)).toEqual({ edits: [], drafts: [] }));
  });
});

describe("a cell that is being edited", () => {
  /** The drafts that are on the disk. */
  const kept = (host: FakeHost) => (host.disk.get(TIM)?.drafts ?? []) as RecordDraft[];
  const keptText = (text: string) => [
    expect.objectContaining({ name: "Ada Lovelace", fields: { city: { typed: { "": text } } } }),
  ];
  const typing = async (text: string) => {
    const started = start();
    await records();
    const editor = await typeInto(started.user, 0, "city", text);
    await waitFor(() => expect(kept(started.host)).toEqual(keptText(text)));
    return { ...started, editor };
  };

  it("keeps its text through a reload, a crash and the end of the application", async () => {
    const { host, user, view } = await typing("Atlantis");
    await user.keyboard("!");
    await waitFor(() => expect(kept(host)).toEqual(keptText("Atlantis!")));
    expect(screen.queryByTestId("drafts")).toBeNull();
    // A copy: what the page does at its end counts for nothing.
    const left = new FakeHost({}, host.server);
    left.disk = structuredClone(host.disk);
    view.unmount();

    const { user: again } = start({}, left);
    await again.click(await screen.findByTestId("drafts"));
    await again.click(await screen.findByTestId("draft-continue"));
    expect(await screen.findByTestId("field-city")).toHaveValue("Atlantis!");
    await again.click(screen.getByTestId("record-save"));
    await waitFor(() => expect(host.server.records.person![0]!.city).toBe("Atlantis!"));
  });

  it("keeps the key that opened it", async () => {
    const { host, user } = start();
    await records();
    await user.click(cell(0, "city"));
    await user.keyboard("X");
    await waitFor(() => expect(kept(host)).toEqual(keptText("X")));
  });

  it("is kept as a draft until it is kept as an edit", async () => {
    const { host, user, editor } = await typing("Atlantis");
    const stored: string[] = [];
    const keep = host.keepUnsent;
    host.keepUnsent = async (owner, work) => {
      stored.push(JSON.stringify(work));
      await keep(owner, work);
    };
    away(host);
    await user.type(editor, "{Enter}");
    await waitFor(() => expect(host.disk.get(TIM)).toMatchObject({ edits: [{ value: "Atlantis" }], drafts: [] }));
    expect(stored.filter((work) => !work.includes("Atlantis"))).toEqual([]);
    expect(screen.queryByTestId("drafts")).toBeNull();
  });

  it("leaves no draft behind when it is cancelled, or typed back to what it was", async () => {
    const { host, user, editor } = await typing("Atlantis");
    await user.type(editor, "{Escape}");
    await waitFor(() => expect(kept(host)).toEqual([]));
    const before = host.server.records.person![0]!.city as string;
    await typeInto(user, 0, "city", `${before}!`);
    await waitFor(() => expect(kept(host)).toEqual(keptText(`${before}!`)));
    await user.keyboard("{Backspace}");
    await waitFor(() => expect(kept(host)).toEqual([]));
    expect(screen.queryByTestId("drafts")).toBeNull();
  });

  it("becomes a draft where another object is opened, or its record goes away", async () => {
    const { host, user } = await typing("Atlantis");
    await user.click(screen.getByTestId("object-companies"));
    await screen.findByText("Lovelace Works");
    expect(await screen.findByTestId("drafts")).toHaveTextContent("1 draft");
    expect(kept(host)).toEqual(keptText("Atlantis"));

    await typeInto(user, 0, "employees", "77");
    host.server.records.company!.shift();
    await user.click(screen.getByTestId("account-menu"));
    await user.click(await screen.findByTestId("menu-reload-all"));
    await waitFor(() => expect(screen.getByTestId("drafts")).toHaveTextContent("2 drafts"));
    expect(kept(host)[1]).toMatchObject({ name: "Lovelace Works", fields: { employees: { typed: { "": "77" } } } });
  });

  it("is asked about at a sign-out, and belongs to its own account", async () => {
    const { host, user } = await typing("Atlantis");
    await user.click(screen.getByTestId("account-menu"));
    await user.click(await screen.findByTestId("menu-sign-out"));
    await user.click(await screen.findByTestId("sign-out-anyway"));
    await signIn(user, "ada@example.com");
    expect(screen.queryByTestId("drafts")).toBeNull();
    expect(kept(host)).toEqual(keptText("Atlantis"));
  });
});
