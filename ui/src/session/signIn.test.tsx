import { act, fireEvent, within } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { errors, ended, signIn as words, signInSteps as steps } from "../messages";
import type { SignInMethod } from "../host";
import { FakeError } from "../testing/fakeError";
import { DEMO, type FakeHost } from "../testing/fakeHost";
import { ONE_TIME_CODE, RECOVERY_CODE, WORKSPACES } from "../testing/fakeSignIn";
import { screen, start, waitFor } from "../testing/render";

const BOTH: SignInMethod[] = ["browser", "password"];
const element = (id: string) => screen.getByTestId<HTMLInputElement>(`sign-in-${id}`);
const shown = (id: string) => screen.findByTestId(`sign-in-${id}`);
const press = (id: string) => act(() => element(id).click());
const type = (id: string, text: string) => fireEvent.change(element(id), { target: { value: text } });
const typedIn = (...ids: string[]) => ids.map((id) => element(id).value);

/** The sign-in page, filled in with the demo account, after its server has said how one signs in there. */
async function page(methods: SignInMethod[] = BOTH) {
  const started = start({ phase: "signed_out", server: undefined, person: undefined });
  started.host.signIns.offer(methods);
  await waitFor(() => expect(element("server")).toHaveValue(DEMO.server));
  await screen.findByText(words.reachable);
  return started;
}

/** A server that is checked after the page's first one. */
async function at(server: string) {
  const started = await page();
  type("server", server);
  await waitFor(() => expect(started.host.checked).toContain(server));
  return started;
}

/** The dialog of an ended session, over an empty page. */
async function dialog(methods: SignInMethod[] = BOTH) {
  const started = start({ phase: "ended", ending: { reason: "rejected", at: 0 } });
  started.host.signIns.offer(methods);
  await screen.findByText(words.reachable);
  return started;
}

afterEach(() => void vi.restoreAllMocks());

const signedIn = (host: FakeHost) => waitFor(() => expect(host.status.phase).toBe("signed_in"));

/** Signs in with the password, as a person for whom that is not enough. */
async function byPassword(email: string) {
  const started = await page();
  type("email", email);
  press("submit");
  return started;
}

describe("the form", () => {
  it("after too many checks in a minute asks again when the next one is allowed", async () => {
    const { host } = await page();
    const check = host.checkServer;
    const refused = vi.fn().mockRejectedValueOnce(new FakeError("too_many_calls", 50));
    host.checkServer = (...asked) => refused(...asked) ?? check(...asked);
    type("server", "https://browser.example.com");
    await waitFor(() => expect(screen.queryByTestId("sign-in-submit")).toBeNull());
    expect(element("browser")).toBeInTheDocument();
    expect(refused).toHaveBeenCalledTimes(2);
  });

  it("is that of a password until the server has said how one signs in there", async () => {
    const { host } = start({ phase: "signed_out", server: undefined, person: undefined });
    host.delay = 1e6;
    await waitFor(() => expect(element("server")).toHaveValue(""));
    expect(screen.queryByTestId("sign-in-browser")).toBeNull();
    expect(element("submit")).toHaveTextContent(words.submit);
    expect(screen.queryByTestId("sign-in-password-only")).toBeNull();
  });

  it("offers the browser first, and the password below it", async () => {
    await page();
    expect(element("browser")).toHaveTextContent(words.browser);
    expect(element("browser")).not.toHaveAttribute("data-variant", "default");
    expect(element("submit")).toHaveTextContent(words.submitPassword);
    expect(element("submit")).toHaveAttribute("data-variant", "default");
    const order = element("browser").compareDocumentPosition(element("email"));
    expect(order & Node.DOCUMENT_POSITION_FOLLOWING).toBeTruthy();
    expect(screen.queryByTestId("sign-in-password-only")).toBeNull();
  });

  it("signs in with the password at a server that offers both", async () => {
    const { host } = await page();
    press("submit");
    await signedIn(host);
    expect(host.signIns.requests).toEqual([DEMO]);
  });

  it("says quietly that an older server signs in by password", async () => {
    await page(["password"]);
    expect(element("password-only")).toHaveTextContent(words.passwordOnly);
    expect(element("submit")).toHaveTextContent(words.submit);
    expect(screen.queryByTestId("sign-in-browser")).toBeNull();
  });

  it("asks for no password where the server takes none", async () => {
    await at("https://browser.example.com");
    await waitFor(() => expect(screen.queryByTestId("sign-in-password")).toBeNull());
    expect(screen.queryByTestId("sign-in-submit")).toBeNull();
    expect(element("browser")).toBeInTheDocument();
  });

  it("offers a code on another device where there is no browser", async () => {
    await at("https://device.example.com");
    expect(await shown("device")).toHaveTextContent(words.device);
    expect(screen.queryByTestId("sign-in-browser")).toBeNull();
  });

  it("says that a server offers no way to sign in, and sends it no password", async () => {
    const { host } = await at("https://nothing.example.com");
    expect(await shown("error")).toHaveTextContent(words.noMethods);
    element("password").focus();
    press("submit");
    await waitFor(() => expect(element("server")).toHaveFocus());
    expect(element("error")).toHaveTextContent(words.noMethods);
    expect(host.signIns.requests).toEqual([]);
  });

  it("keeps the last server's ways while another address is typed", async () => {
    const { host } = await page();
    host.delay = 1e6;
    type("server", "https://old.example.com");
    await screen.findByText(words.checking, { selector: "div" });
    expect(element("browser")).toBeInTheDocument();
  });

  it("asks another server for its ways only when the person says so", async () => {
    await at("https://elsewhere.example.com");
    await waitFor(() => expect(screen.queryByTestId("sign-in-browser")).toBeNull());
    press("ask-now");
    expect(await shown("browser")).toBeInTheDocument();
  });

  it("begins in the browser with Enter in the address, and takes the password with Enter in it", async () => {
    const { host, user } = await page();
    host.signIns.letBrowser("waits");
    await user.type(element("server"), "{Enter}");
    await shown("panel");
    press("cancel");
    await waitFor(() => expect(element("browser")).toHaveFocus());
    type("password", DEMO.password);
    await user.type(element("password"), "{Enter}");
    await signedIn(host);
    expect(host.signIns.requests.map(({ method }) => method)).toEqual(["browser", undefined]);
  });
});

describe("in the browser", () => {
  afterEach(() => void vi.useRealTimers());
  const waiting = async () => {
    const started = await page();
    started.host.signIns.letBrowser("waits");
    press("browser");
    await shown("panel");
    return started;
  };
  /** With a manual clock from before the panel is there. */
  const timed = async (browser: "waits" | "does not open") => {
    const started = await page();
    started.host.signIns.letBrowser(browser);
    vi.useFakeTimers();
    press("browser");
    await act(() => vi.advanceTimersByTimeAsync(0));
    return started;
  };
  const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

  it("a panel with the focus takes the form's place, until the person is back", async () => {
    const { host } = await page();
    host.signIns.browserMs = 1e6;
    press("browser");
    expect(await shown("panel")).toHaveFocus();
    expect(element("panel")).toHaveAccessibleName(steps.browser.title);
    expect(screen.queryByTestId("sign-in-server")).toBeNull();
    expect(host.signIns.requests).toEqual([{ server: DEMO.server, method: "browser" }]);
  });

  it("the person comes back signed in, and the server is remembered", async () => {
    const { host } = await page();
    host.signIns.person = "ada@example.com";
    press("browser");
    await signedIn(host);
    expect(host.status.person).toBe("ada@example.com");
    await waitFor(() => expect(window.localStorage.getItem("holdfast.servers")).toBe(JSON.stringify([DEMO.server])));
    expect(host.signIns.cancelled).toBe(0);
  });

  it("counts down each second, and says it aloud once a minute", async () => {
    await timed("waits");
    await pass(1_000);
    expect(element("countdown")).toHaveTextContent("4:59 left");
    const aloud = element("time-read-out");
    expect(aloud).toHaveAttribute("role", "status");
    expect(aloud).toHaveTextContent("5 minutes left.");
    await pass(58_000);
    expect(element("countdown")).toHaveTextContent("4:01 left");
    expect(aloud).toHaveTextContent("5 minutes left.");
    await pass(1_000);
    expect(aloud).toHaveTextContent("4 minutes left.");
    await pass(180_000);
    expect(aloud).toHaveTextContent("Less than a minute left.");
    await pass(120_000);
    expect(element("countdown")).toHaveTextContent("0:00 left");
  });

  it("the link can be copied after a second, because openers fail silently", async () => {
    await timed("waits");
    await pass(999);
    expect(screen.queryByTestId("sign-in-copy-link")).toBeNull();
    await pass(1);
    expect(element("copy-link")).toBeInTheDocument();
  });

  it("the link is there at once where no browser could be opened, which the panel says", async () => {
    await timed("does not open");
    expect(element("copy-link")).toBeInTheDocument();
    expect(element("panel")).toHaveTextContent(steps.browser.notOpened);
  });

  it("copies the link, and says that it did", async () => {
    const { user } = await waiting();
    await user.click(await shown("copy-link"));
    await waitFor(() => expect(element("copy-link")).toHaveTextContent(steps.copied));
    expect(await navigator.clipboard.readText()).toMatch(/^https:\/\/demo\.example\.com\/authorize\?/);
  });

  it("shows the link where the clipboard does not take it", async () => {
    const { user } = await waiting();
    vi.spyOn(navigator.clipboard, "writeText").mockRejectedValue(new Error("refused"));
    document.execCommand ??= () => false;
    vi.spyOn(document, "execCommand").mockReturnValue(false);
    await user.click(await shown("copy-link"));
    expect(await shown("not-copied")).toHaveTextContent("https://demo.example.com/authorize?");
  });

  it.each(["Cancel", "Escape"])("%s goes back to the form, which says nothing", async (how) => {
    const { host, user } = await waiting();
    if (how === "Cancel") press("cancel");
    else await user.keyboard("{Escape}");
    await waitFor(() => expect(element("browser")).toHaveFocus());
    expect(host.signIns.cancelled).toBe(1);
    expect(typedIn("server", "email", "password")).toEqual([DEMO.server, DEMO.email, ""]);
    expect(screen.queryByTestId("sign-in-error")).toBeNull();
  });

  it("Escape in a dialog over the panel does not cancel", async () => {
    const { host, user } = await waiting();
    act(() => host.set({ storage: { state: "not_saved", reason: "keyring_locked" } }));
    act(() => host.close());
    await waitFor(() => expect(screen.getByTestId("quit-stay")).toHaveFocus());
    await user.keyboard("{Escape}");
    await waitFor(() => expect(host.answers).toEqual(["stay"]));
    expect(element("panel")).toBeInTheDocument();
    expect(host.signIns.cancelled).toBe(0);
  });

  it("leaving the page cancels", async () => {
    const { host, view } = await waiting();
    view.unmount();
    expect(host.signIns.cancelled).toBe(1);
  });

  it("a browser that the person closed is no error", async () => {
    const { host } = await page();
    host.signIns.letBrowser("is closed");
    press("browser");
    await waitFor(() => expect(element("browser")).toHaveFocus());
    expect(screen.queryByTestId("sign-in-error")).toBeNull();
  });

  it.each([
    ["is refused", "sign_in_refused"],
    ["times out", "sign_in_timed_out"],
  ] as const)("a browser that %s is an error above its button, with the address kept", async (browser, code) => {
    const { host } = await page();
    host.signIns.letBrowser(browser);
    press("browser");
    expect(await shown("error")).toHaveTextContent(errors[code]);
    expect(screen.getByRole("alert").compareDocumentPosition(element("browser"))).toBe(
      Node.DOCUMENT_POSITION_FOLLOWING,
    );
    expect(typedIn("server", "email", "password")).toEqual([DEMO.server, DEMO.email, ""]);
    await waitFor(() => expect(element("browser")).toHaveFocus());
  });

  it("a server that has no sign-in by browser after all is an error above the button", async () => {
    const { host } = await page();
    host.signIns.offer(["password"]);
    press("browser");
    expect(await shown("error")).toHaveAttribute("data-code", "browser_unavailable");
    expect(typedIn("password")).toEqual([DEMO.password]);
  });
});

describe("on another device", () => {
  it("shows the code and where to type it, and copies both", async () => {
    const { host, user } = await at("https://device.example.com");
    host.signIns.letBrowser("waits");
    await shown("device");
    press("device");
    expect(await shown("device-code")).toHaveTextContent("WDJB-MJHT");
    expect(element("device-address")).toHaveTextContent("https://device.example.com/device");
    expect(element("countdown")).toHaveTextContent(/^(5:00|4:5\d) left$/);
    await user.click(element("copy-code"));
    expect(await navigator.clipboard.readText()).toBe("WDJB-MJHT");
    await user.click(element("copy-link"));
    expect(await navigator.clipboard.readText()).toBe("https://device.example.com/device?code=WDJB-MJHT");
    press("cancel");
    await waitFor(() => expect(element("device")).toHaveFocus());
  });
});

describe("a one-time code", () => {
  const careful = () => byPassword("careful@example.com");

  it("is asked for with a field that systems fill in, and signs in with Enter", async () => {
    const { host, user } = await careful();
    const field = await shown("code");
    expect(field).toHaveFocus();
    expect(field).toHaveAttribute("inputmode", "numeric");
    expect(field).toHaveAttribute("autocomplete", "one-time-code");
    await user.keyboard(" 123 456 {Enter}");
    await signedIn(host);
    expect(host.signIns.answers).toEqual([{ code: ONE_TIME_CODE }]);
  });

  it("may be a recovery code, which has letters", async () => {
    const { host } = await careful();
    await shown("code");
    type("code", RECOVERY_CODE);
    press("code-submit");
    await signedIn(host);
  });

  it("that was wrong says so, and is replaced by what is typed next", async () => {
    const { host, user } = await careful();
    await shown("code");
    await user.keyboard("000000{Enter}");
    expect(await shown("error")).toHaveTextContent(steps.code.wrong);
    expect(element("code")).toHaveAttribute("aria-invalid", "true");
    await waitFor(() => expect(element("code")).toHaveFocus());
    expect([element("code").selectionStart, element("code").selectionEnd]).toEqual([0, 6]);
    await user.keyboard(ONE_TIME_CODE);
    expect(screen.queryByTestId("sign-in-error")).toBeNull();
    await user.keyboard("{Enter}");
    await signedIn(host);
  });

  it("that is missing is not sent", async () => {
    const { host } = await careful();
    await shown("code");
    await act(async () => element("code-submit").click());
    expect(element("error")).toHaveTextContent(steps.code.missing);
    expect(host.signIns.answers).toEqual([]);
  });

  it("wrong five times ends the sign-in with an error above the button", async () => {
    await careful();
    for (let tries = 0; tries < 5; tries += 1) {
      await waitFor(() => expect(element("code")).toBeEnabled());
      type("code", `00000${tries}`);
      press("code-submit");
    }
    expect(await screen.findByRole("alert")).toHaveTextContent(errors.sign_in_refused);
    expect(typedIn("server", "email", "password")).toEqual([DEMO.server, "careful@example.com", ""]);
  });

  it("can be cancelled, which keeps server and e-mail address, and forgets the password", async () => {
    const { host } = await careful();
    await shown("code");
    press("cancel");
    await waitFor(() => expect(element("password")).toHaveFocus());
    expect(typedIn("server", "email", "password")).toEqual([DEMO.server, "careful@example.com", ""]);
    expect(host.signIns.cancelled).toBe(1);
  });
});

describe("a choice of workspaces", () => {
  it("lists them with their addresses, and is made with the keyboard", async () => {
    const { host, user } = await byPassword("both@example.com");
    const buttons = await screen.findAllByTestId("sign-in-workspace");
    expect(buttons.map((button) => button.textContent)).toEqual(
      WORKSPACES.map(({ name, origin }) => `${name}${origin}`),
    );
    await user.tab();
    expect(buttons[0]).toHaveFocus();
    await user.tab();
    await user.keyboard("{Enter}");
    await signedIn(host);
    expect(host.signIns.answers).toEqual([{ workspace: 1 }]);
    expect(host.status.server).toBe(WORKSPACES[1]!.origin);
  });

  it("can be cancelled", async () => {
    const { host } = await byPassword("both@example.com");
    await screen.findAllByTestId("sign-in-workspace");
    press("cancel");
    await waitFor(() => expect(element("password")).toHaveFocus());
    expect(host.signIns.cancelled).toBe(1);
  });
});

describe("in the dialog of an ended session", () => {
  it("the browser is the first way, and no question comes before it", async () => {
    const { host } = await dialog();
    expect(within(screen.getByTestId("ended-dialog")).getByTestId("sign-in-again")).toHaveTextContent(
      words.submitPassword,
    );
    press("browser");
    await signedIn(host);
    expect(screen.queryByTestId("other-account")).toBeNull();
  });

  it("the panel takes the form's place, and Escape cancels it without closing the dialog", async () => {
    const { host, user } = await dialog();
    host.signIns.letBrowser("waits");
    press("browser");
    await waitFor(() => expect(element("panel")).toHaveFocus());
    await user.keyboard("{Escape}");
    await waitFor(() => expect(element("browser")).toHaveFocus());
    expect(screen.getByTestId("ended-dialog")).toBeInTheDocument();
    expect(host.signIns.cancelled).toBe(1);
  });

  it("asks before the browser of another server, and says which", async () => {
    const { host } = await dialog();
    type("server", "https://browser.example.com");
    press("browser");
    expect(await screen.findByTestId("other-account")).toHaveTextContent(
      ended.other("as tim@example.com at demo.example.com", "at browser.example.com"),
    );
    act(() => screen.getByTestId("other-account-stay").click());
    expect(host.signIns.requests).toEqual([]);
    press("browser");
    act(() => screen.getByTestId("other-account-go").click());
    await signedIn(host);
    expect(host.status.server).toBe("https://browser.example.com");
  });
});
