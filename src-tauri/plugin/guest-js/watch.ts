import { listen } from "@tauri-apps/api/event";
import { getCurrentWebviewWindow } from "@tauri-apps/api/webviewWindow";

import { call } from "./command.js";
import type { Ending, Hint, Status } from "./types.js";

/** Pause before the next question after one failed, in milliseconds. A question is a local call, so this is long. */
const ASK_AGAIN_MS = 1_000;

/**
 * Follows the status. It listens to events first, then reads the status, and drops a status that is older than the one
 * it has: a window that opens late, reloads, or misses an event shows the same as the others.
 *
 * Needs `core:event:allow-listen` and `core:event:allow-unlisten` (never `allow-emit`: a page that may emit can forge
 * events for the others).
 *
 * @param listener - called with the present status, then with each newer one
 * @param account - the account to follow. Default: the window's own
 * @returns a function that ends it
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
 * Calls the listener once for each session that ended, except by the person's own sign-out, also in a window that
 * opened later. Keep the page and its unsaved work: after the next sign-in it goes on.
 *
 * @param listener - called with the status that has the ending
 * @param account - the account to follow. Default: the window's own
 * @returns a function that ends it
 * @throws SessionError `invalid_request` where the application has no such account
 * @example
 * ```ts
 * const stop = await onLogout(({ ending }) => askToSignInAgain(ending?.reason));
 * ```
 */
export function onLogout(listener: (status: Status) => void, account?: string): Promise<() => void> {
  let reported: Ending | undefined;
  return watch(
    "graphql-session://logout",
    (status) => {
      const { phase, ending } = status;
      if (phase !== "ended" || ending === undefined || ending.reason === "signed_out") return;
      if (reported?.at === ending.at && reported.reason === ending.reason) return;
      reported = ending;
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
  let askedCount = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function askUntilSettled(): Promise<void> {
    let answered;
    do {
      answered = askedCount;
      const status = await call<Status>("status", { account });
      followed = status.account;
      if (!stopped && status.revision > newest) {
        newest = status.revision;
        listener(status);
      }
    } while (answered !== askedCount && !stopped);
  }

  /** Reads the status. Where that is already being done, it is done once more: the first answer may be too old. */
  function ask(): Promise<void> {
    askedCount += 1;
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

  // A window that was created hidden loses events, so a page that becomes visible reads the status.
  function onVisible(): void {
    if (document.visibilityState === "visible") askInBackground();
  }

  // Without a target, `listen` also gets the events of all other windows.
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
