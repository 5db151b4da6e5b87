/**
 * Waits for an answer, but rejects as soon as the signal aborts: Tauri cannot abort an invoke.
 *
 * @param answer - the answer to wait for
 * @param signal - the caller's signal, if there is one
 * @param onAbort - cancels the work behind the answer
 * @returns the value of `answer`
 * @throws the signal's reason
 */
export function abortable<T>(
  answer: Promise<T>,
  signal: AbortSignal | null | undefined,
  onAbort?: () => void,
): Promise<T> {
  if (!signal) return answer;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      onAbort?.();
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the caller's own reason, as `fetch` does
      reject(reasonOf(signal));
    };
    signal.addEventListener("abort", abort, { once: true });
    void answer.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", abort);
    });
  });
}

/** Throws the signal's reason if it has aborted. */
export function throwIfAborted(signal: AbortSignal | null | undefined): void {
  if (signal?.aborted) throw reasonOf(signal);
}

function reasonOf(signal: AbortSignal): unknown {
  return signal.reason ?? new DOMException("The call was cancelled.", "AbortError");
}
