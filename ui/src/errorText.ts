/** The code of a failed call, and its text on the screen. */
import type { Code } from "./host";
import { errors } from "./messages";

/** How many errors may be wrapped around the session's own. GraphQL clients wrap it once or twice. */
const MAX_WRAPPERS = 4;

/** The text for a rejection of any kind. */
export function errorText(error: unknown): string {
  const code = codeOf(error);
  if (code) return errors[code];
  if (error instanceof Error && error.message) return error.message;
  return errors.internal;
}

/** The session's code inside an error, also where a GraphQL client wrapped it. */
export function codeOf(error: unknown): Code | undefined {
  for (let inner = error, depth = 0; inner && typeof inner === "object" && depth < MAX_WRAPPERS; depth += 1) {
    const code = (inner as { code?: unknown }).code;
    if (typeof code === "string" && code in errors) return code as Code;
    inner = (inner as { cause?: unknown }).cause;
  }
  return undefined;
}
