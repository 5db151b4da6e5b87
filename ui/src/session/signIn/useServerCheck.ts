/** Whether a server answers at the typed address, and how one signs in there. */
import { useCallback, useEffect, useRef, useState } from "react";
import type { Code, ServerCheck, SessionErrorShape } from "../../host";
import { codeOf, errorText } from "../../errorText";
import { useHost } from "../session";

/** Pause in typing after which the address is checked, in milliseconds. */
const CHECK_AFTER_MS = 500;

export type Check =
  /** `other`: another server than so far, which is not asked before the person has confirmed it. */
  | { state: "idle" | "asking" | "other" }
  | { state: "right"; server: ServerCheck }
  | { state: "wrong"; code?: Code; text: string };

const IDLE: Check = { state: "idle" };

/**
 * Checks the address after a pause in typing, and at once where it stands there from the start. The answer for an older
 * address is dropped. After too many checks in a minute it asks again when the next one is allowed. `askNow` checks another server than so far, too: the person is asked first, outside of the page.
 */
export function useServerCheck(address: string): { check: Check; askNow: () => void } {
  const host = useHost();
  const [first] = useState(address);
  const [result, setResult] = useState<{ address: string; check: Check }>({ address: "", check: IDLE });
  /** The address of the newest check. */
  const newest = useRef<string>(undefined);

  const ask = useCallback(
    async (mayAsk: boolean) => {
      const isNewest = () => newest.current === address;
      setResult({ address, check: { state: "asking" } });
      for (;;) {
        try {
          const server = await host.checkServer(address.trim(), { mayAsk });
          if (isNewest()) setResult({ address, check: { state: "right", server } });
          return;
        } catch (error) {
          if (!isNewest()) return;
          const pause = pauseAfter(error);
          if (pause === undefined) return setResult({ address, check: failed(error) });
          await new Promise((resume) => setTimeout(resume, pause));
          if (!isNewest()) return;
        }
      }
    },
    [address, host],
  );

  useEffect(() => {
    newest.current = address;
    if (!address.trim()) return;
    const timer = setTimeout(() => void ask(false), address === first ? 0 : CHECK_AFTER_MS);
    return () => {
      newest.current = undefined;
      clearTimeout(timer);
    };
  }, [address, first, ask]);

  const check = result.address === address && address.trim() ? result.check : IDLE;
  return { check, askNow: useCallback(() => void ask(true), [ask]) };
}

/** The pause in milliseconds before the same address is checked again, because too many were checked in a minute. */
function pauseAfter(error: unknown): number | undefined {
  if (codeOf(error) !== "too_many_calls") return undefined;
  return (error as Partial<SessionErrorShape>).retryAfterMs ?? CHECK_AFTER_MS;
}

function failed(error: unknown): Check {
  const code = codeOf(error);
  if (code === "not_confirmed") return { state: "other" };
  return { state: "wrong", code, text: errorText(error) };
}
