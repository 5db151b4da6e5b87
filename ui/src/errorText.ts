/** The code of a failed call, and its text on the screen. No sentence of a library or of a database gets there. */
import { CombinedGraphQLErrors, ServerError, ServerParseError } from "@apollo/client/errors";
import type { Code } from "./host";
import { errors, serverErrors } from "./messages";

/** How many errors may be wrapped around the session's own. GraphQL clients wrap it once or twice. */
const MAX_WRAPPERS = 4;
/** Statuses of gateways, and of servers that ask for patience: the server itself has not judged the call. */
const AWAY: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** The words of databases and of the code around them. */
const TECHNICAL =
  /\b(column|relation|constraint|violates|syntax error|sql|query ?failed|select|insert into|econn\w+|invalid input|undefined|null value|cannot read|stack)\b/i;
/** What servers say to people when they have nothing to say. */
const SAYS_NOTHING = /^an error occurred\.?$/i;

/** An error with a text for people. */
export class ReadableError extends Error {}

/** The text for a rejection of any kind. */
export function errorText(error: unknown): string {
  const code = codeOf(error);
  if (code) return errors[code];
  if (error instanceof ReadableError) return error.message;
  if (isAway(error)) return serverErrors.away;
  if (CombinedGraphQLErrors.is(error)) return serverText(error);
  if (ServerError.is(error)) return serverErrors.broken;
  return errors.internal;
}

/** Whether something in front of the server answered instead of it. */
export function isAway(error: unknown): boolean {
  if (ServerError.is(error)) return AWAY.has(error.statusCode);
  // A page of a proxy or of a network's sign-in, where JSON was expected.
  return ServerParseError.is(error);
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

/** Whether the server says that there is no such record. */
export function isNotFound(error: unknown): boolean {
  return CombinedGraphQLErrors.is(error) && error.errors.some(({ extensions }) => extensions?.code === "NOT_FOUND");
}

function serverText({ errors: [first] }: CombinedGraphQLErrors): string {
  const friendly = first?.extensions?.userFriendlyMessage as string | { message?: string } | undefined;
  const texts = [typeof friendly === "string" ? friendly : friendly?.message, first?.message];
  const readable = texts.find((text) => text && !SAYS_NOTHING.test(text) && !TECHNICAL.test(text));
  return readable ?? serverErrors.refused;
}
