/**
 * The page's side of the Tauri plugin `graphql-session`.
 *
 * The session lives in the application's process: tokens never reach a page, every window shares one renewal, and a
 * session ends only when its server has confirmed that it is over. A page asks for the {@link status}, follows it with
 * {@link onChange}, and gives {@link createSessionFetch} and {@link subscribe} to its GraphQL client.
 *
 * @packageDocumentation
 */
import { call } from "./command.js";
import type { JournalEntry, ServerCheck, Status } from "./types.js";

export { SessionError } from "./error.js";
export { createSessionFetch } from "./fetch.js";
export type { SessionFetchOptions } from "./fetch.js";
export { subscribe } from "./subscribe.js";
export type { SubscribeOptions, SubscriptionRequest, SubscriptionSink } from "./subscribe.js";
export { onChange, onLogout } from "./watch.js";
export type * from "./types.js";

/** What a person types to sign in. */
export interface SignIn {
  /** The server's address, such as `https://crm.example.com`. */
  server: string;
  email: string;
  password: string;
  /** The account to sign in; without it, the window's own. */
  account?: string;
}

/**
 * Where the session stands now. This is the truth; events are only hints that it may have changed.
 *
 * @param account - the account to ask about; without it, the window's own
 * @returns the status as it is now
 * @throws SessionError `invalid_request` where the application has no such account
 * @example
 * ```ts
 * const { phase, person } = await status();
 * ```
 */
export function status(account?: string): Promise<Status> {
  return call("status", { account });
}

/**
 * Asks whether a server that this application can talk to answers at `address`. Needs the permission set
 * `graphql-session:sign-in`.
 *
 * @param address - what the person typed, such as `crm.example.com`
 * @param account - the account that would sign in there; without it, the window's own
 * @returns the address as it will be used, and the protocol that answered
 * @throws SessionError `invalid_address`, `host_not_found`, `certificate`, `not_this_server` or `no_answer`
 * @example
 * ```ts
 * const { origin } = await checkServer("crm.example.com");
 * ```
 */
export function checkServer(address: string, account?: string): Promise<ServerCheck> {
  return call("check_server", { address, account });
}

/**
 * Signs in with a password. The page keeps nothing: the tokens stay in the application's process. Needs the permission
 * set `graphql-session:sign-in`.
 *
 * @param person - server, e-mail address and password, and the account where there are several
 * @returns the status after signing in
 * @throws SessionError `wrong_password`, `unknown_user`, `second_factor_required`, `sign_in_refused`, and the codes of
 * {@link checkServer}
 * @example
 * ```ts
 * await signIn({ server: origin, email, password });
 * ```
 */
export function signIn(person: SignIn): Promise<Status> {
  const { server, email, password, account } = person;
  return call("sign_in", { server, email, password, account });
}

/**
 * Signs out in every window, at once, also when the server is away.
 *
 * @param account - the account to sign out; without it, the window's own
 * @returns the status after signing out
 * @throws SessionError `invalid_request` where the application has no such account
 * @example
 * ```ts
 * await signOut();
 * ```
 */
export function signOut(account?: string): Promise<Status> {
  return call("sign_out", { account });
}

/**
 * "Try now": skips the pause before the next attempt to reach the server (but not a pause that the server asked for).
 *
 * @param account - the account to try; without it, the window's own
 * @returns the status after asking; the attempt's outcome follows as a change
 * @throws SessionError `invalid_request` where the application has no such account
 * @example
 * ```ts
 * tryNowButton.onclick = () => void retryNow();
 * ```
 */
export function retryNow(account?: string): Promise<Status> {
  return call("retry_now", { account });
}

/**
 * What happened to the session, oldest first, without secrets. Needs the permission
 * `graphql-session:allow-journal`.
 *
 * @param account - the account to read about; without it, the window's own
 * @returns the kept entries; the oldest are dropped when there are many
 * @throws SessionError `invalid_request` where the application has no such account
 * @example
 * ```ts
 * const renewals = (await journal()).filter((entry) => entry.what === "renewal");
 * ```
 */
export function journal(account?: string): Promise<JournalEntry[]> {
  return call("journal", { account });
}
