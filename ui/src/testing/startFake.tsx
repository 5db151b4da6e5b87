/**
 * Mode `fake`: `?state=unreachable` starts in a state, `&panel=0` hides the buttons, `&delay=800` delays answers,
 * `&methods=password` says how one signs in, `&insecure` stands for plain http.
 */
import type { ReactNode } from "react";
import type { Host, SignInMethod, Status } from "../host";
import { FakeControls } from "./FakeControls";
import { FakeHost } from "./fakeHost";

const SECOND_MS = 1000;
/** How long the person is in the fake browser, in milliseconds: long enough to look at the panel. */
const BROWSER_MS = 4_000;

/** Each state of the session as the core would publish it. */
export const STATES: Record<string, () => Partial<Status>> = {
  signed_in: () => ({ phase: "signed_in", storage: { state: "saved" }, nextAttemptAt: undefined, ending: undefined }),
  renewing: () => ({ phase: "renewing" }),
  unreachable: () => ({ phase: "unreachable", unreachable: "server", nextAttemptAt: Date.now() + 12 * SECOND_MS }),
  held: () => ({ phase: "unreachable", unreachable: "held_by_other_process", nextAttemptAt: undefined }),
  not_saved: () => ({ phase: "signed_in", storage: { state: "not_saved", reason: "keyring_locked" } }),
  locked: () => ({ phase: "locked", locked: "keyring_locked" }),
  ended: () => ({ phase: "ended", ending: { reason: "rejected", at: Date.now() } }),
  signed_out: () => ({ phase: "signed_out" }),
  opening: () => ({ phase: "opening" }),
};

export function startFake(): { host: Host; beside: ReactNode } {
  const wanted = new URLSearchParams(window.location.search);
  const start = STATES[wanted.get("state") ?? ""]?.() ?? { phase: "signed_out", server: undefined, person: undefined };
  const host = new FakeHost(start);
  host.delay = Number(wanted.get("delay") ?? 150);
  if (wanted.has("insecure")) host.status = { ...host.status, insecure: true };
  host.signIns.methods = (wanted.get("methods") ?? "browser,password").split(",") as SignInMethod[];
  host.signIns.browserMs = BROWSER_MS;
  if (start.phase === "signed_out") host.status = { ...host.status, server: undefined, person: undefined };
  Object.assign(window, { fakeHost: host, fakeStates: STATES });
  return { host, beside: wanted.get("panel") === "0" ? null : <FakeControls host={host} states={STATES} /> };
}
