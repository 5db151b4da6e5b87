import { act } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { NEW } from "./data/drafts";
import { ended } from "./messages";
import { DEMO, FakeHost, ownerKey } from "./testing/fakeHost";
import { calls, cell, records, screen, start, typeInto, waitFor } from "./testing/render";

const end = (host: FakeHost) => act(() => host.set({ phase: "ended", ending: { reason: "rejected", at: Date.now() } }));
const signInAgain = async (user: ReturnType<typeof start>["user"], email?: string) => {
  if (email) {
    await user.clear(await screen.findByTestId("sign-in-email"));
    await user.type(screen.getByTestId("sign-in-email"), email);
  }
  await user.type(await screen.findByTestId("sign-in-password"), "open-sesame");
  await user.click(screen.getByTestId("sign-in-again"));
};

/** Holds the answers to an operation, as the server gave them, until the returned function is called. */
function hold(host: FakeHost, operation: string): () => void {
  const answered = host.fetch;
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  host.fetch = async (input, init) => {
    const answer = await answered(input, init);
    if (String(init?.body).includes(`"${operation}"`)) await released;
    return answer;
  };
  return release;
}

describe("when a session has ended", () => {
  it("a cell's text is kept over the sign-in, and saves", async () => {
    const { host, user } = start();
    await records();
    await typeInto(user, 0, "city", "Atlantis");
    end(host);
    expect(await screen.findByTestId("ended-reason")).toHaveTextContent("Your session ended: the server revoked it");
    expect(screen.getByTestId("cell-editor")).toHaveValue("Atlantis");
    await signInAgain(user);
    await waitFor(() => expect(screen.queryByTestId("ended-reason")).toBeNull());
    const editor = screen.getByTestId("cell-editor");
    expect(editor).toHaveValue("Atlantis");
    await user.type(editor, "{Enter}");
    await waitFor(() => expect(host.server.records.person![0]!.city).toBe("Atlantis"));
  });

  it("a new record's text is kept over the sign-in", async () => {
    const { host, user } = start();
    await records();
    await user.click(screen.getByTestId("new-record"));
    await user.type(await screen.findByTestId("field-jobTitle"), "Pearl diver");
    end(host);
    await signInAgain(user);
    await waitFor(() => expect(screen.queryByTestId("ended-reason")).toBeNull());
    expect(screen.getByTestId("field-jobTitle")).toHaveValue("Pearl diver");
    await user.click(screen.getByTestId("record-save"));
    await waitFor(() => expect(calls(host, "CreateOnePerson")).toBe(1));
    expect(host.server.records.person![0]!.jobTitle).toBe("Pearl diver");
  });

  it("another account asks before it closes the page", async () => {
    const { host, user } = start();
    await records();
    await typeInto(user, 0, "city", "Atlantis");
    end(host);
    await signInAgain(user, "ada@example.com");
    await user.click(await screen.findByTestId("other-account-stay"));
    expect(host.status.phase).toBe("ended");
    expect(screen.getByTestId("cell-editor")).toHaveValue("Atlantis");
    await user.click(screen.getByTestId("sign-in-again"));
    await user.click(await screen.findByTestId("other-account-go"));
    await waitFor(() => expect(host.status.person).toBe("ada@example.com"));
    await waitFor(() => expect(screen.queryByTestId("cell-editor")).toBeNull());
    await records();
  });

  /** Begins a draft and an edit, opens a cell, and lets somebody else come back from the browser. */
  const replacedBy = async (person: string | undefined) => {
    const { host, user } = start();
    host.signIns.offer(["browser", "password"]);
    await records();
    host.failWith("unreachable");
    await user.type(await typeInto(user, 1, "city", "Utopia"), "{Enter}");
    await screen.findByTestId("pending-edits");
    await user.click(screen.getByTestId("new-record"));
    await user.type(await screen.findByTestId("field-jobTitle"), "Pearl diver");
    await user.keyboard("{Escape}");
    await typeInto(user, 0, "city", "Atlantis");
    end(host);
    host.signIns.person = person;
    await user.click(await screen.findByTestId("sign-in-browser"));
    await waitFor(() => expect(host.status.phase).toBe("signed_in"));
    return { host };
  };

  it("somebody else who comes back from the browser gets a new page, and nothing typed is lost", async () => {
    const { host } = await replacedBy("ada@example.com");
    expect(
      await screen.findByText(
        ended.otherCame("as tim@example.com at demo.example.com", "as ada@example.com at demo.example.com"),
      ),
    ).toBeInTheDocument();
    await waitFor(() => expect(screen.queryByTestId("cell-editor")).toBeNull());
    await records();
    expect(screen.queryByTestId("pending-edits")).toBeNull();
    expect(screen.queryByTestId("drafts")).toBeNull();
    expect(calls(host, "UpdateOnePerson")).toBe(0);
    // All of it rests on the disk of the first person: the edit, the draft, and the text of the open cell as a draft.
    const { edits, drafts } = host.disk.get(ownerKey({ server: DEMO.server, person: DEMO.email }))!;
    expect(edits).toMatchObject([{ field: "city", value: "Utopia" }]);
    expect(drafts).toMatchObject([
      { id: NEW, fields: { jobTitle: { typed: { "": "Pearl diver" } } } },
      { name: "Ada Lovelace", fields: { city: { typed: { "": "Atlantis" } } } },
    ]);
  });

  it("nothing is sent for a person whose name the server does not say", async () => {
    const { host } = await replacedBy(undefined);
    await waitFor(() => expect(screen.queryByTestId("cell-editor")).toBeNull());
    await records();
    expect(screen.queryByTestId("pending-edits")).toBeNull();
    expect(calls(host, "UpdateOnePerson")).toBe(0);
    expect(host.server.records.person![1]!.city).not.toBe("Utopia");
    expect(host.disk.get(ownerKey({ server: DEMO.server, person: DEMO.email }))!.edits).toHaveLength(1);
  });

  it("an edit made before is sent after signing in again", async () => {
    const { host, user } = start();
    await records();
    host.failWith("signed_out");
    await user.type(await typeInto(user, 0, "city", "Atlantis"), "{Enter}");
    await screen.findByTestId("pending-edits");
    end(host);
    await signInAgain(user);
    await waitFor(() => expect(host.server.records.person![0]!.city).toBe("Atlantis"));
    await waitFor(() => expect(screen.queryByTestId("pending-edits")).toBeNull());
  });
});

describe("when the server can't be reached", () => {
  it("an edit stays, waits, and is sent by Try now", async () => {
    const { host, user } = start();
    await records();
    host.failWith("unreachable");
    act(() => host.set({ phase: "unreachable", unreachable: "server", nextAttemptAt: Date.now() + 60_000 }));
    await user.type(await typeInto(user, 0, "city", "Atlantis"), "{Enter}");
    expect(await screen.findByTestId("session-banner")).toHaveTextContent("1 edit waits for the server.");
    expect(cell(0, "city")).toHaveTextContent("Atlantis");
    expect(host.server.records.person![0]!.city).not.toBe("Atlantis");
    await user.click(screen.getByTestId("try-now"));
    await waitFor(() => expect(host.server.records.person![0]!.city).toBe("Atlantis"));
    expect(calls(host, "UpdateOnePerson")).toBe(1);
    await waitFor(() => expect(screen.queryByTestId("pending-edits")).toBeNull());
  });

  it("nothing is sent while the phase is unreachable, even where a call would go through", async () => {
    const { host, user } = start();
    await records();
    act(() => host.set({ phase: "unreachable", unreachable: "server" }));
    await user.type(await typeInto(user, 0, "city", "Atlantis"), "{Enter}");
    await user.type(await typeInto(user, 1, "city", "Utopia"), "{Enter}");
    await waitFor(() => expect(screen.getByTestId("pending-edits")).toHaveAttribute("data-count", "2"));
    expect(calls(host, "UpdateOnePerson")).toBe(0);
    act(() => host.set({ phase: "signed_in" }));
    await waitFor(() => expect(calls(host, "UpdateOnePerson")).toBe(2));
    expect(host.server.records.person!.slice(0, 2).map((one) => one.city)).toEqual(["Atlantis", "Utopia"]);
  });

  it("an edit that a gateway refuses with 503 waits, in words for people", async () => {
    const { host, user } = start();
    await records();
    host.gateway = 503;
    await user.type(await typeInto(user, 0, "city", "Atlantis"), "{Enter}");
    await user.click(await screen.findByTestId("pending-edits"));
    const edit = await screen.findByTestId("pending-edit");
    expect(edit).toHaveAttribute("data-state", "waiting");
    expect(edit).not.toHaveTextContent(/status code|503/);
    host.gateway = undefined;
    await waitFor(() => expect(host.server.records.person![0]!.city).toBe("Atlantis"));
    await waitFor(() => expect(screen.queryByTestId("pending-edits")).toBeNull());
  });

  it("an edit whose answer was lost is looked for, and asks only if somebody else was faster", async () => {
    const { host, user } = start();
    await records();
    host.failure = { code: "maybe_executed", only: "mutations" };
    const person = host.server.records.person![0]!;
    const editor = await typeInto(user, 0, "city", "Atlantis");
    person.city = "Elsewhere";
    await user.type(editor, "{Enter}");
    await user.click(await screen.findByTestId("pending-edits"));
    await waitFor(() => expect(screen.getByTestId("pending-edit")).toHaveAttribute("data-state", "conflict"));
    expect(person.city).toBe("Elsewhere");
    host.failWith(undefined);
    await user.click(screen.getByTestId("pending-send"));
    await waitFor(() => expect(person.city).toBe("Atlantis"));
  });
});

describe("the table", () => {
  it("lists the server's objects with counts, and says how much is loaded", async () => {
    start();
    await records();
    expect(await screen.findByTestId("object-companies")).toHaveTextContent("500");
    expect(screen.queryByTestId("object-views")).toBeNull();
    expect(screen.getByTestId("record-count")).toHaveTextContent("1,000");
    expect(screen.getByTestId("loaded")).toHaveTextContent("60 of 1,000 loaded");
  });

  it("filters at the server", async () => {
    const { host, user } = start();
    await records();
    await user.click(screen.getByTestId("filter"));
    await user.type(await screen.findByTestId("filter-value"), "Hopper{Enter}");
    await waitFor(() => expect(host.server.log.at(-1)?.variables?.filter).toBeDefined());
    await waitFor(() => expect(screen.getByTestId("record-count")).not.toHaveTextContent("1,000"));
    expect(screen.getByTestId("filters")).toHaveTextContent("Name contains Hopper");
  });

  it("undoes the last edit", async () => {
    const { host, user } = start();
    await records();
    const before = host.server.records.person![0]!.city;
    await user.type(await typeInto(user, 0, "city", "Atlantis"), "{Enter}");
    await waitFor(() => expect(host.server.records.person![0]!.city).toBe("Atlantis"));
    await user.click(screen.getByTestId("more-actions"));
    await user.click(await screen.findByTestId("undo"));
    await waitFor(() => expect(host.server.records.person![0]!.city).toBe(before));
  });

  it("opens a cell's editor with the key that was typed on it", async () => {
    const { host, user } = start();
    await records();
    await user.click(cell(0, "city"));
    await user.keyboard("X");
    expect(await screen.findByTestId("cell-editor")).toHaveValue("X");
    await user.keyboard("{Enter}");
    await waitFor(() => expect(host.server.records.person![0]!.city).toBe("X"));
  });

  it("edits one cell by a related record and another by an option", async () => {
    const { host, user } = start();
    await records();
    const person = host.server.records.person![0]!;
    await user.dblClick(cell(0, "company"));
    const options = await screen.findAllByRole("option", { name: /Works|Systems/, hidden: true });
    await user.click(options.at(-1)!);
    await waitFor(() => expect(cell(0, "company")).toHaveTextContent(options.at(-1)!.textContent!));
    await user.dblClick(cell(0, "performanceRating"));
    await user.selectOptions(await screen.findByTestId("cell-editor"), "LOW");
    await user.keyboard("{Enter}");
    await waitFor(() => expect(person.performanceRating).toBe("LOW"));
  });

  it("deletes the focused record after asking", async () => {
    const { host, user } = start();
    await records();
    await user.click(cell(0, "city"));
    await user.click(screen.getByTestId("more-actions"));
    await user.click(await screen.findByTestId("delete-record"));
    expect(calls(host, "DeleteOnePerson")).toBe(0);
    await user.click(await screen.findByTestId("delete-confirm"));
    await waitFor(() => expect(screen.getByTestId("record-count")).toHaveTextContent("999"));
  });

  it("restores what was deleted, and deletes what was created, with Undo", async () => {
    const { host, user } = start();
    await records();
    await user.click(cell(0, "city"));
    await user.click(screen.getByTestId("more-actions"));
    await user.click(await screen.findByTestId("delete-record"));
    await user.click(await screen.findByTestId("delete-confirm"));
    await waitFor(() => expect(screen.getByTestId("record-count")).toHaveTextContent("999"));
    await user.click(await screen.findByTestId("undo-message"));
    await waitFor(() => expect(screen.getByTestId("record-count")).toHaveTextContent("1,000"));
    expect(calls(host, "RestoreOnePerson")).toBe(1);

    await user.click(screen.getByTestId("new-record"));
    await user.type(await screen.findByTestId("field-city"), "Atlantis{Enter}");
    await waitFor(() => expect(screen.getByTestId("record-count")).toHaveTextContent("1,001"));
    await user.click(await screen.findByTestId("undo-message"));
    await waitFor(() => expect(screen.getByTestId("record-count")).toHaveTextContent("1,000"));
    expect(host.server.records.person!.filter((one) => one.city === "Atlantis" && !one.deletedAt)).toEqual([]);
  });

  it("a list that was read before a change shows the change all the same", async () => {
    const { host, user } = start();
    await records();
    const release = hold(host, "FindManyPerson");
    await user.click(screen.getByTestId("more-actions"));
    await user.click(await screen.findByText("Reload"));
    await waitFor(() => expect(calls(host, "FindManyPerson")).toBe(2));
    await user.click(cell(0, "city"));
    await user.click(screen.getByTestId("more-actions"));
    await user.click(await screen.findByTestId("delete-record"));
    await user.click(await screen.findByTestId("delete-confirm"));
    await waitFor(() => expect(screen.getByTestId("record-count")).toHaveTextContent("999"));
    release();
    await waitFor(() => expect(calls(host, "FindManyPerson")).toBe(3));
    await waitFor(() => expect(screen.queryByText("Ada Lovelace")).toBeNull());
    expect(screen.getByTestId("record-count")).toHaveTextContent("999");
  });

  it("makes no empty record without a question", async () => {
    const { host, user } = start();
    await records();
    await user.click(screen.getByTestId("new-record"));
    await user.click(await screen.findByTestId("record-save"));
    expect(await screen.findByTestId("record-form-empty")).toBeInTheDocument();
    expect(calls(host, "CreateOnePerson")).toBe(0);
    await user.click(screen.getByTestId("record-save"));
    await waitFor(() => expect(calls(host, "CreateOnePerson")).toBe(1));
  });

  it("edits the parts of a name in two boxes, and keeps the other parts of a phone", async () => {
    const { host, user } = start();
    await records();
    const person = host.server.records.person![0]!;
    person.name = { firstName: "Mary Ann", lastName: "Smith Jones" };
    await user.click(screen.getByTestId("more-actions"));
    await user.click(await screen.findByText("Reload"));
    await screen.findByText("Mary Ann Smith Jones");
    await user.dblClick(cell(0, "name"));
    await user.type(await screen.findByTestId("cell-editor-lastName"), "!{Enter}");
    await waitFor(() => expect(person.name).toEqual({ firstName: "Mary Ann", lastName: "Smith Jones!" }));
    const others = (person.phones as { additionalPhones: unknown }).additionalPhones;
    expect(others).not.toBeNull();
    await typeInto(user, 0, "phones", "12");
    await user.keyboard("{Escape}");
    await waitFor(() => expect(screen.queryByTestId("cell-editor")).toBeNull());
    await user.type(await typeInto(user, 0, "phones", "+10987654321"), "{Enter}");
    await waitFor(() =>
      expect(person.phones).toEqual({
        primaryPhoneNumber: "+10987654321",
        primaryPhoneCallingCode: "",
        primaryPhoneCountryCode: "",
        additionalPhones: others,
      }),
    );
  });

  it("keeps an editor open with what is being typed while its record changes", async () => {
    const { host, user } = start();
    await records();
    await user.dblClick(cell(0, "name"));
    await user.type(await screen.findByTestId("cell-editor-lastName"), " of half");
    host.server.records.person![0]!.city = "Elsewhere";
    await user.click(screen.getByTestId("account-menu"));
    await user.click(await screen.findByTestId("menu-reload-all"));
    await waitFor(() => expect(cell(0, "city")).toHaveTextContent("Elsewhere"));
    expect(calls(host, "UpdateOnePerson")).toBe(0);
    await user.type(screen.getByTestId("cell-editor-lastName"), " a name{Enter}");
    await waitFor(() =>
      expect(host.server.records.person![0]!.name).toEqual({ firstName: "Ada", lastName: "Lovelace of half a name" }),
    );
  });

  it("keeps the line breaks of a text, in the cell and in the form", async () => {
    const { host, user } = start();
    await records();
    await user.click(screen.getByTestId("object-companies"));
    await screen.findByText("Lovelace Works");
    const company = host.server.records.company![0]!;
    const text = company.tagline as string;
    expect(text).toContain("\n");
    await user.dblClick(cell(0, "tagline"));
    await user.type(await screen.findByTestId("cell-editor"), "!{Enter}", {
      initialSelectionStart: 0,
      initialSelectionEnd: 0,
    });
    await waitFor(() => expect(company.tagline).toBe(`!${text}`));
    await user.click(cell(0, "name"));
    await user.keyboard("{Control>}{Enter}{/Control}");
    await user.type(await screen.findByTestId("field-tagline"), "{Shift>}{Enter}{/Shift}?{Enter}");
    await waitFor(() => expect(company.tagline).toBe(`!${text}\n?`));
  });

  it("says what was not taken, instead of storing another number", async () => {
    const { host, user } = start();
    await records();
    await user.click(screen.getByTestId("object-companies"));
    await screen.findByText("Lovelace Works");
    const before = host.server.records.company![0]!.employees;
    await user.type(await typeInto(user, 0, "employees", "1,5"), "{Enter}");
    expect(await screen.findByText(/“1,5” was not taken/)).toBeInTheDocument();
    expect(host.server.records.company![0]!.employees).toBe(before);
  });

  it("keeps a new record's form open where the server refuses it", async () => {
    const { user } = start();
    await records();
    await user.click(screen.getByTestId("new-record"));
    await user.type(await screen.findByTestId("field-emails"), "ada.lovelace0@example.com");
    await user.click(screen.getByTestId("record-save"));
    expect(await screen.findByTestId("record-form-error")).toHaveTextContent("Duplicate");
    expect(screen.getByTestId("field-emails")).toHaveValue("ada.lovelace0@example.com");
  });
});

describe("the account menu", () => {
  it("signs out by its key only after a question, and not by one that elsewhere means quit", async () => {
    const { host, user } = start();
    await records();
    await user.keyboard("{Control>}{Shift>}q{/Shift}{/Control}");
    expect(host.status.phase).toBe("signed_in");
    expect(screen.queryByTestId("sign-out-anyway")).toBeNull();
    await user.keyboard("{Control>}{Shift>}o{/Shift}{/Control}");
    await user.click(await screen.findByTestId("sign-out-anyway"));
    await waitFor(() => expect(host.status.phase).toBe("signed_out"));
  });

  it("opens a window, reloads everything, and signs out", async () => {
    const { host, user } = start();
    await records();
    await user.click(screen.getByTestId("account-menu"));
    await user.click(await screen.findByTestId("menu-new-window"));
    expect(host.windows).toBe(1);
    const before = host.server.log.length;
    await user.click(screen.getByTestId("account-menu"));
    await user.click(await screen.findByTestId("menu-reload-all"));
    await waitFor(() => expect(calls(host, "FindManyPerson")).toBe(2));
    expect(host.server.log.slice(before).map((one) => one.endpoint)).toContain("metadata");
    await user.click(screen.getByTestId("account-menu"));
    await user.click(await screen.findByTestId("menu-sign-out"));
    expect(await screen.findByTestId("sign-in-email")).toHaveValue(DEMO.email);
  });
});

it("eight panels send eight queries over both endpoints, at once", async () => {
  const { host, user } = start();
  await records();
  await user.click(screen.getByTestId("open-panels"));
  const ready = () => {
    for (let panel = 1; panel <= 8; panel += 1)
      expect(screen.getByTestId(`panel-${panel}`)).toHaveAttribute("data-state", "ready");
  };
  await waitFor(ready);
  const before = host.server.log.length;
  await user.click(screen.getByTestId("panels-reload"));
  await waitFor(() =>
    expect(host.server.log.slice(before).filter((one) => one.operationName?.startsWith("Panel"))).toHaveLength(8),
  );
  await waitFor(ready);
  expect(new Set(host.server.log.slice(before).map((one) => one.endpoint))).toEqual(new Set(["graphql", "metadata"]));
});
