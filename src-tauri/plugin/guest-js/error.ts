import type { Code, SessionErrorShape } from "./types.js";

/**
 * What every function of this package rejects with.
 *
 * @example
 * ```ts
 * try {
 *   await signIn(person);
 * } catch (problem) {
 *   if (problem instanceof SessionError && problem.code === "wrong_password") focusPassword();
 *   else throw problem;
 * }
 * ```
 */
export class SessionError extends Error implements SessionErrorShape {
  override readonly name = "SessionError";
  /** What programs act on: one of a closed list. */
  readonly code: Code;
  /** How long to wait before a repetition makes sense, where that is known. */
  readonly retryAfterMs?: number;

  constructor(code: Code, message: string, retryAfterMs?: number) {
    super(message);
    this.code = code;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }

  /**
   * Reads what a command rejected with. Tauri's own refusals (a missing permission, for one) are plain texts; they
   * become the code `internal`, because a person cannot mend them.
   *
   * @param problem - what was caught
   * @returns the error to show or to throw on
   * @example
   * ```ts
   * const { code } = SessionError.from(caught);
   * ```
   */
  static from(problem: unknown): SessionError {
    if (problem instanceof SessionError) return problem;
    if (hasShape(problem)) return new SessionError(problem.code, problem.message, problem.retryAfterMs);
    if (problem instanceof Error) return new SessionError("internal", problem.message);
    return new SessionError("internal", typeof problem === "string" ? problem : "The application gave no reason.");
  }
}

function hasShape(problem: unknown): problem is SessionErrorShape {
  return (
    typeof problem === "object" &&
    problem !== null &&
    "code" in problem &&
    typeof problem.code === "string" &&
    "message" in problem &&
    typeof problem.message === "string"
  );
}
