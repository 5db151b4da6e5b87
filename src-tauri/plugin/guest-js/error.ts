import type { Code, SessionErrorShape } from "./types.js";

/**
 * The error of every function of this package.
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
  /** One of a closed list, for programs. */
  readonly code: Code;
  /** When a retry makes sense, in milliseconds from now. Absent where that is not known. */
  readonly retryAfterMs?: number;
  /** The origin to which the address leads, with the code `leads_elsewhere`. */
  readonly leadsTo?: string;

  constructor(code: Code, message: string, retryAfterMs?: number, leadsTo?: string) {
    super(message);
    this.code = code;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
    if (leadsTo !== undefined) this.leadsTo = leadsTo;
  }

  /**
   * Makes a `SessionError` of any rejection. Tauri rejects with plain text, for example where a permission is missing:
   * that gets the code `internal`, because a person cannot fix it.
   *
   * @param problem - the rejection of a command
   * @returns the error to show or to throw
   * @example
   * ```ts
   * const { code } = SessionError.from(caught);
   * ```
   */
  static from(problem: unknown): SessionError {
    if (problem instanceof SessionError) return problem;
    if (hasShape(problem)) {
      return new SessionError(problem.code, problem.message, problem.retryAfterMs, problem.leadsTo);
    }
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
