import { listen } from "@tauri-apps/api/event";
import { getCurrentWebviewWindow } from "@tauri-apps/api/webviewWindow";

import { call } from "./command.js";
import type { Ending, Hint, Status } from "./types.js";

/** Pause before asking again after an answer failed, in milliseconds: asking is a local call, so a second is long. */
const ASK_AGAIN_MS = 1_000;

/**
 * Follows the status. It listens first, then asks, and drops what is older than what it has: so a window that opens
 * late, reloads, or misses an event shows the same as all the others.
 *
 * Needs `core:event:allow-listen` and `core:event:allow-unlisten` (never `allow-emit`: a page that may emit can forge
 * events for the others).
 *
 * @param listener - gets the present status once, then each newer one
 * @param account - the account to follow; without it, the window's own
 * @returns a function that stops it
 * @throws SessionError `invalid_request` where the application has no such account
 * @example
 * ```ts
 * const stop = await onChange((status) => render(status));
 * ```
 */
export function onChange(listener: (status: Status) => void, account?: string): Promise<() => void> {
  return watch("graphql-session://changed", listener, account);
}

/**
 * Tells once when a session has ended other than by the person's own sign-out, also in a window that opened after it.
 * Keep the page and its unsaved work: a new sign-in continues in place.
 *
 * @param listener - gets the status that holds the ending
 * @param account - the account to follow; without it, the window's own
 * @returns a function that stops it
 * @throws SessionError `invalid_request` where the application has no such account
 * @example
 * ```ts
 * const stop = await onLogout(({ ending }) => askToSignInAgain(ending?.reason));
 * ```
 */
export function onLogout(listener: (status: Status) => void, account?: string): Promise<() => void> {
  let told: Ending | undefined;
  return watch(
    "graphql-session://logout",
    (status) => {
      const { phase, ending } = status;
      if (phase !== "ended" || ending === undefined || ending.reason === "signed_out") return;
      if (told?.at === ending.at && told.reason === ending.reason) return;
      told = ending;
      listener(status);
    },
    account,
  );
}

async function watch(
  event: string,
  listener: (status: Status) => void,
  account: string | undefined,
): Promise<() => void> {
  let followed = account;
  let newest = -1;
  let stopped = false;
  let asking: Promise<void> | undefined;
  let asked = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function askUntilSettled(): Promise<void> {
    let answered;
    do {
      answered = asked;
      const status = await call<Status>("status", { account });
      followed = status.account;
      if (!stopped && status.revision > newest) {
        newest = status.revision;
        listener(status);
      }
    } while (answered !== asked && !stopped);
  }

  /** Joins the question that is under way, which is then put once more: its answer may already be old. */
  function ask(): Promise<void> {
    asked += 1;
    asking ??= askUntilSettled().finally(() => {
      asking = undefined;
    });
    return asking;
  }

  function askInBackground(): void {
    if (stopped) return;
    clearTimeout(timer);
    ask().catch(() => {
      if (!stopped) timer = setTimeout(askInBackground, ASK_AGAIN_MS);
    });
  }

  // Events get lost in a window that was created hidden, so a page that becomes visible asks.
  function onVisible(): void {
    if (document.visibilityState === "visible") askInBackground();
  }

  // For this window alone: without a target, `listen` hears what is sent to every other window too.
  const target = { kind: "WebviewWindow", label: getCurrentWebviewWindow().label } as const;
  const unlisten = await listen<Hint>(
    event,
    ({ payload }) => {
      const concernsUs = followed === undefined || payload.account === followed;
      if (concernsUs && payload.revision > newest) askInBackground();
    },
    { target },
  );
  const stop = (): void => {
    stopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", onVisible);
    unlisten();
  };
  document.addEventListener("visibilitychange", onVisible);
  try {
    await ask();
  } catch (problem) {
    stop();
    throw problem;
  }
  return stop;
}
