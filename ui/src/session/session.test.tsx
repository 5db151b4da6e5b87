import { act } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Code, Status } from "../host";
import { errors, insecure, journal, notSaved, quitting, signIn as words } from "../messages";
import { DEMO } from "../testing/fakeHost";
import { calls, records, screen, start, waitFor } from "../testing/render";

const indicator = () => screen.findByTestId("session-indicator");

describe("the indicator", () => {
  it.each([
    ["signed_in", "Signed in", {}],
    ["renewing", "Signed in", {}],
    ["unreachable", "Can't reach the server", { unreachable: "server" }],
    ["unreachable", "Waiting for another window", { unreachable: "held_by_other_process" }],
    ["ended", "Session ended", { ending: { reason: "rejected", at: 0 } }],
  ] as [Status["phase"], string, Partial<Status>][])("in the phase %s reads %s", async (phase, text, more) => {
    start({ phase, ...more });
    const sign = await indicator();
    expect(sign).toHaveAttribute("data-phase", phase);
    expect(sign).toHaveTextContent(text);
  });

  it("counts down to the next attempt, which Try now skips", async () => {
    const { host, user } = start({ phase: "unreachable", unreachable: "server", nextAttemptAt: Date.now() + 12_000 });
    expect(await indicator()).toHaveTextContent(/Trying again in 1[12] s/);
    expect(screen.getByTestId("session-banner")).toHaveTextContent(
      "Can't reach demo.example.com. You are still signed in.",
    );
    await user.click(screen.getByTestId("try-now"));
    await waitFor(() => expect(screen.queryByTestId("session-banner")).toBeNull());
    expect(host.retries).toBe(1);
  });

  it("shows a key where the session is not saved, with what to do", async () => {
    const { user } = start({ storage: { state: "not_saved", reason: "keyring_locked" } });
    expect(await indicator()).toHaveAttribute("data-storage", "not_saved");
    expect(screen.getByTestId("session-banner")).toHaveTextContent(notSaved.keyring_locked.text);
    await user.click(screen.getByText("How to fix"));
    expect(screen.getByTestId("session-banner")).toHaveTextContent(notSaved.keyring_locked.fix);
  });
});

describe("a connection that is not encrypted", () => {
  const sentence = insecure.sentence(DEMO.server);
  const mark = () => screen.findByTestId("insecure-mark");
  const note = () => screen.findByTestId("insecure-note");

  it("is marked in every phase, for as long as it lasts", async () => {
    const { host } = start({ phase: "opening", insecure: true });
    const show = (status: Partial<Status>) => act(() => host.set(status));
    expect(await mark()).toBeVisible();
    for (const phase of ["signed_in", "renewing", "unreachable", "stopped", "locked", "ended"] as const) {
      show({ phase, ...(phase === "locked" && { locked: "keyring_locked" }) });
      expect(await mark(), phase).toBeVisible();
    }
    // Where a password is typed, the whole sentence stands beside it.
    expect(await note()).toHaveTextContent(`Not encrypted. ${sentence}`);
    show({ phase: "signed_out" });
    expect(await screen.findByTestId("sign-in-server")).toBeVisible();
    expect(await note()).toHaveTextContent(sentence);
    show({ phase: "locked" });
    expect(await screen.findByTestId("locked-page")).toContainElement(await note());
    show({ insecure: undefined });
    expect(screen.queryByTestId("insecure-note")).toBeNull();
    show({ phase: "signed_in" });
    await indicator();
    expect(screen.queryByTestId("insecure-mark")).toBeNull();
  });

  it("is explained by its mark, which nothing dismisses", async () => {
    const { user } = start({ insecure: true });
    expect(await mark()).toHaveAccessibleName("Not encrypted");
    expect(await mark()).toHaveAccessibleDescription(sentence);
    (await mark()).focus();
    await user.keyboard("{Enter}");
    expect(await screen.findByRole("dialog", { hidden: true })).toHaveTextContent(sentence);
    await user.keyboard("{Escape}");
    await user.click(document.body);
    expect(await mark()).toBeVisible();
  });
});

describe("the journal", () => {
  it("copies one text for a bug report, and says that it did", async () => {
    const { user } = start({ phase: "unreachable", unreachable: "server" });
    await user.click(await screen.findByTestId("account-menu"));
    await user.click(await screen.findByTestId("menu-session"));
    await user.click(await screen.findByText(journal.copy));
    expect(await screen.findByText(journal.copied)).toBeInTheDocument();
    expect(await navigator.clipboard.readText()).toBe("phase: unreachable");
  });
});

describe("a renewal", () => {
  afterEach(() => void vi.useRealTimers());

  it("pulses only when it takes longer than 300 ms", async () => {
    const { host } = start();
    const sign = await indicator();
    vi.useFakeTimers();
    act(() => host.set({ phase: "renewing" }));
    act(() => void vi.advanceTimersByTime(299));
    expect(sign).not.toHaveAttribute("data-pulsing");
    act(() => void vi.advanceTimersByTime(1));
    expect(sign).toHaveAttribute("data-pulsing");
    act(() => host.set({ phase: "signed_in" }));
    expect(sign).not.toHaveAttribute("data-pulsing");
  });
});

describe("the screens", () => {
  it("show an outline, and no sign-in form, while a session opens", () => {
    start({ phase: "opening" });
    expect(screen.queryByTestId("sign-in-server")).toBeNull();
    expect(screen.getByTestId("opening")).toBeInTheDocument();
  });

  it("with a locked keyring ask to unlock it, and offer to sign in anew", async () => {
    const { host, user } = start({ phase: "locked", locked: "keyring_locked" });
    expect(await screen.findByText("Unlock your keyring to go on.")).toBeInTheDocument();
    expect(screen.queryByTestId("sign-in-server")).toBeNull();
    await user.click(screen.getByTestId("locked-sign-in-anew"));
    expect(await screen.findByTestId("sign-in-server")).toHaveValue(DEMO.server);
    await user.click(screen.getByText("Back"));
    await user.click(screen.getByTestId("locked-try-again"));
    await records();
    expect(host.retries).toBe(1);
  });

  it("follow a sign-out made in another window", async () => {
    const { host } = start();
    await records();
    act(() => host.set({ phase: "signed_out" }));
    expect(await screen.findByTestId("sign-in-server")).toBeInTheDocument();
  });
});

describe("quitting unsaved", () => {
  afterEach(() => void vi.useRealTimers());
  const notYet = { storage: { state: "not_saved", reason: "keyring_locked" } } as const;
  const closing = async () => {
    const started = start(notYet);
    await records();
    act(() => started.host.close());
    await screen.findByTestId("quit-dialog");
    return started;
  };

  it("asks, says what is lost, and focuses the answer that stays", async () => {
    const { host, user } = await closing();
    expect(screen.getByTestId("quit-dialog")).toHaveTextContent(`${notSaved.keyring_locked.text} ${quitting.lost}`);
    await waitFor(() => expect(screen.getByTestId("quit-stay")).toHaveFocus());
    await user.keyboard("{Enter}");
    await waitFor(() => expect(screen.queryByTestId("quit-dialog")).toBeNull());
    expect(host.answers).toEqual(["stay"]);
    act(() => host.close());
    await user.click(await screen.findByTestId("quit-anyway"));
    expect(host.answers).toEqual(["stay", "quit"]);
  });

  it("is left with Escape", async () => {
    const { host, user } = await closing();
    await user.keyboard("{Escape}");
    await waitFor(() => expect(screen.queryByTestId("quit-dialog")).toBeNull());
    expect(host.answers).toEqual(["stay"]);
  });

  it("quits by itself as soon as the session is saved", async () => {
    const { host, user } = await closing();
    await user.click(screen.getByTestId("quit-save"));
    await waitFor(() => expect(host.answers).toEqual(["quit"]));
    expect(host.retries).toBe(1);
  });

  it("says when saving failed again, and stays open", async () => {
    const { host } = await closing();
    host.retry = () => undefined;
    vi.useFakeTimers();
    act(() => screen.getByTestId("quit-save").click());
    await act(() => vi.advanceTimersByTimeAsync(3_000));
    expect(screen.getByTestId("quit-dialog")).toHaveTextContent(quitting.stillNot);
    expect(host.answers).toEqual([]);
  });
});

describe("signing in", () => {
  const FIELDS = ["sign-in-server", "sign-in-email", "sign-in-password"];
  /** Waits until the form is filled in with the demo account. */
  const filledIn = async () => {
    await waitFor(() => expect(screen.getByTestId("sign-in-password")).toHaveValue(DEMO.password));
  };
  const clear = async (user: ReturnType<typeof start>["user"]) => {
    await filledIn();
    for (const field of FIELDS) await user.clear(screen.getByTestId(field));
  };
  const fill = async (user: ReturnType<typeof start>["user"], ...texts: string[]) => {
    await clear(user);
    for (const [at, field] of FIELDS.entries()) await user.type(screen.getByTestId(field), texts[at] ?? "");
    await user.click(screen.getByTestId("sign-in-submit"));
  };
  const signedOut = { phase: "signed_out", server: undefined, person: undefined } as const;

  it.each([
    ["wrong_password", "sign-in-password", DEMO.server, DEMO.email, "wrong"],
    ["unknown_user", "sign-in-email", DEMO.server, "nobody@example.com", "x"],
    ["invalid_address", "sign-in-server", "not an address", DEMO.email, "x"],
    ["host_not_found", "sign-in-server", "https://nowhere.example.com", DEMO.email, "x"],
    ["certificate", "sign-in-server", "https://bad-certificate.example.com", DEMO.email, "x"],
    ["not_this_server", "sign-in-server", "https://other.example.com", DEMO.email, "x"],
    ["no_answer", "sign-in-server", "https://silent.example.com", DEMO.email, "x"],
    ["not_confirmed", "sign-in-server", "https://elsewhere.example.com", DEMO.email, "x"],
  ] as [Code, string, string, string, string][])(
    "shows the error %s at %s, and focuses it",
    async (code, field, server, email, password) => {
      const { user } = start(signedOut);
      await fill(user, server, email, password);
      expect(await screen.findByText(errors[code])).toHaveAttribute("data-code", code);
      await waitFor(() => expect(screen.getByTestId(field)).toHaveFocus());
      expect(screen.getByTestId(field)).toHaveAttribute("aria-invalid", "true");
    },
  );

  it("shows the error sign_in_refused above the button", async () => {
    const { user } = start(signedOut);
    await fill(user, DEMO.server, "refused@example.com", "x");
    expect(await screen.findByRole("alert")).toHaveTextContent(errors.sign_in_refused);
    expect(screen.getByTestId("sign-in-error")).toHaveAttribute("data-code", "sign_in_refused");
  });

  it("with empty fields names them and goes to the first", async () => {
    const { user } = start(signedOut);
    await clear(user);
    await user.click(screen.getByTestId("sign-in-submit"));
    expect(screen.getAllByTestId("sign-in-error")).toHaveLength(3);
    expect(screen.getByTestId("sign-in-server")).toHaveFocus();
  });

  it("fills in the demo account, checks the address, remembers the server", async () => {
    const { host, user } = start(signedOut);
    await filledIn();
    expect(await screen.findByText("Twenty server, reachable")).toBeInTheDocument();
    expect(host.checked).toEqual([DEMO.server]);
    await user.click(screen.getByTestId("sign-in-submit"));
    await records();
    expect(window.localStorage.getItem("holdfast.servers")).toBe(JSON.stringify([DEMO.server]));
    expect(JSON.stringify(window.localStorage)).not.toContain(DEMO.password);
    expect(calls(host, "FindManyPerson")).toBe(1);
  });

  it("keeps the remembered server, and fills in the demo on demand", async () => {
    window.localStorage.setItem("holdfast.servers", JSON.stringify(["https://crm.example.com"]));
    const { user } = start(signedOut);
    await user.click(await screen.findByTestId("sign-in-email"));
    expect(screen.getByTestId("sign-in-server")).toHaveValue("https://crm.example.com");
    expect(screen.getByTestId("sign-in-password")).toHaveValue("");
    await user.click(screen.getByTestId("sign-in-demo"));
    expect(screen.getByTestId("sign-in-server")).toHaveValue(DEMO.server);
  });

  it("says that another server needs a word of the person, which is no error", async () => {
    const { user } = start(signedOut);
    await clear(user);
    await user.type(screen.getByTestId("sign-in-server"), "https://elsewhere.example.com");
    expect(await screen.findByText(words.other)).toBeInTheDocument();
    expect(screen.queryByTestId("sign-in-error")).toBeNull();
  });

  it.each([
    ["crm.exämple.com/start", "https://crm.xn--exmple-cua.com"],
    ["localhost:3000", "http://localhost:3000"],
  ])("shows beside the password where %s leads", async (typed, origin) => {
    const { user } = start(signedOut);
    await clear(user);
    expect(screen.queryByTestId("sign-in-target")).toBeNull();
    await user.type(screen.getByTestId("sign-in-server"), typed);
    expect(screen.getByTestId("sign-in-target")).toHaveTextContent(words.goesTo(origin));
  });

  it("shows and hides the password", async () => {
    const { user } = start(signedOut);
    expect(await screen.findByTestId("sign-in-password")).toHaveAttribute("type", "password");
    await user.click(screen.getByTestId("sign-in-show-password"));
    expect(screen.getByTestId("sign-in-password")).toHaveAttribute("type", "text");
  });
});
