import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { onChange, onLogout, SessionError } from "../index.js";
import type { Status } from "../index.js";
import { Host, settle, statusOf } from "./host.js";

const CHANGED = "graphql-session://changed";
const LOGOUT = "graphql-session://logout";

let host: Host;
let now: Status;
let heard: Status[];
const listener = (status: Status): void => void heard.push(status);
const revisions = (): number[] => heard.map(({ revision }) => revision);

beforeEach(() => {
  host = new Host("main-2");
  now = statusOf({ revision: 3 });
  heard = [];
  host.on("status", () => now);
});

afterEach(() => {
  vi.useRealTimers();
});

function hint(revision: number, account = "default"): unknown {
  return { account, revision, phase: "signed_in" };
}

describe("onChange", () => {
  it("listens before it asks, for this window alone", async () => {
    await onChange(listener);
    expect(host.invokes.map(({ command }) => command)).toEqual([
      "plugin:event|listen",
      "plugin:graphql-session|status",
    ]);
    expect(host.targets).toEqual([{ kind: "WebviewWindow", label: "main-2" }]);
    expect(revisions()).toEqual([3]);
  });

  it("asks at each event, and does not believe the event itself", async () => {
    await onChange(listener);
    now = statusOf({ revision: 5, phase: "renewing" });
    host.emit(CHANGED, { account: "default", revision: 4, phase: "ended" });
    await settle();
    expect(heard.at(-1)).toMatchObject({ revision: 5, phase: "renewing" });
  });

  it("drops a status that is older than the one it has", async () => {
    await onChange(listener);
    now = statusOf({ revision: 2 });
    host.emit(CHANGED, hint(7));
    await settle();
    host.emit(CHANGED, hint(3));
    await settle();
    expect(revisions()).toEqual([3]);
    expect(host.count("status")).toBe(2);
  });

  it("notices a change during its first question", async () => {
    host.on("status", async () => {
      const answer = now;
      if (now.revision === 3) {
        now = statusOf({ revision: 4 });
        host.emit(CHANGED, hint(4));
      }
      await Promise.resolve();
      return answer;
    });
    await onChange(listener);
    expect(revisions()).toEqual([3, 4]);
  });

  it("asks once for many events at once", async () => {
    await onChange(listener);
    now = statusOf({ revision: 50 });
    for (let revision = 4; revision <= 50; revision++) host.emit(CHANGED, hint(revision));
    await settle();
    expect(revisions()).toEqual([3, 50]);
    expect(host.count("status")).toBeLessThanOrEqual(3);
  });

  it("ignores the events of other accounts", async () => {
    await onChange(listener);
    host.emit(CHANGED, hint(9, "archive"));
    await settle();
    expect(host.count("status")).toBe(1);
  });

  it("asks when the window is shown, because hidden windows lose events", async () => {
    await onChange(listener);
    now = statusOf({ revision: 8 });
    host.show();
    await settle();
    expect(revisions()).toEqual([3, 8]);
  });

  it("asks again a second after an answer failed", async () => {
    vi.useFakeTimers();
    await onChange(listener);
    host.on("status", () => {
      throw new Error("no answer");
    });
    host.emit(CHANGED, hint(4));
    await vi.advanceTimersByTimeAsync(999);
    host.on("status", () => statusOf({ revision: 4 }));
    expect(revisions()).toEqual([3]);
    await vi.advanceTimersByTimeAsync(1);
    expect(revisions()).toEqual([3, 4]);
  });

  it("calls nobody after it was stopped, even for an answer that was due", async () => {
    const stop = await onChange(listener);
    now = statusOf({ revision: 4 });
    host.emit(CHANGED, hint(4));
    stop();
    await settle();
    host.emit(CHANGED, hint(5));
    host.show();
    await settle();
    expect(revisions()).toEqual([3]);
    expect(host.targets).toEqual([]);
  });

  it("rejects and stops listening where the account does not exist", async () => {
    host.rejects("status", { code: "invalid_request", message: "No such account." });
    await expect(onChange(listener, "nobody")).rejects.toBeInstanceOf(SessionError);
    await settle();
    expect(host.targets).toEqual([]);
  });
});

describe("onLogout", () => {
  const ended = statusOf({ revision: 6, phase: "ended", ending: { reason: "rejected", at: 1_700_000_000_000 } });

  it("calls its listener once per ending", async () => {
    await onLogout(listener);
    expect(heard).toEqual([]);
    now = ended;
    host.emit(LOGOUT, hint(6));
    await settle();
    now = { ...ended, revision: 7 };
    host.emit(LOGOUT, hint(7));
    host.show();
    await settle();
    expect(revisions()).toEqual([6]);
    now = { ...ended, revision: 9, ending: { reason: "lost_answer", at: 1_700_000_100_000 } };
    host.emit(LOGOUT, hint(9));
    await settle();
    expect(revisions()).toEqual([6, 9]);
  });

  it("calls its listener in a window that opened after the ending", async () => {
    now = ended;
    await onLogout(listener);
    expect(revisions()).toEqual([6]);
  });

  it("calls nobody if the person has signed in again meanwhile", async () => {
    await onLogout(listener);
    now = statusOf({ revision: 8 });
    host.emit(LOGOUT, hint(6));
    await settle();
    expect(heard).toEqual([]);
  });

  it("calls nobody for the person's own sign-out", async () => {
    await onLogout(listener);
    now = { ...ended, ending: { reason: "signed_out", at: 1 } };
    host.emit(LOGOUT, hint(6));
    await settle();
    expect(heard).toEqual([]);
  });
});
