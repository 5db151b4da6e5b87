/**
 * The page's side of the Tauri plugin `graphql-session`.
 *
 * The session is in the application's process: tokens never reach a page, all windows share one renewal, and a session
 * ends only when its server has confirmed that it is over. A page reads the {@link status}, follows it with
 * {@link onChange}, and gives {@link createSessionFetch} and {@link subscribe} to its GraphQL client.
 *
 * @packageDocumentation
 */
import { call } from "./command.js";
import type { JournalEntry, ServerCheck, Status } from "./types.js";

export { SessionError } from "./error.js";
export { createSessionFetch } from "./fetch.js";
export type { SessionFetchOptions } from "./fetch.js";
export { signIn } from "./signIn.js";
export type { SignIn, SignInOptions } from "./signIn.js";
export { subscribe } from "./subscribe.js";
export type { SubscribeOptions, SubscriptionRequest, SubscriptionSink } from "./subscribe.js";
export { onChange, onLogout } from "./watch.js";
export type * from "./types.js";

/**
 * Reads the status of the session. Only this answer is reliable: an event says no more than that it may have changed.
 *
 * @param account - the account to ask about. Default: the window's own
 * @returns the present status
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
 * Checks whether a server of a kind that this application supports answers at `address`. Needs the permission set
 * `graphql-session:sign-in`.
 *
 * Where the account has used another server so far, nothing is sent before the person has confirmed the new one, in a
 * dialog outside of the page. A form that checks while people type leaves `mayAsk` out: it gets `not_confirmed` then, and
 * `signIn` asks later. At most 10 checks a minute are made.
 *
 * @param address - the typed address, such as `crm.example.com`
 * @param account - the account that would sign in there. Default: the window's own
 * @param options - `mayAsk`: whether to ask the person about another server. Default: no
 * @returns the address as the session would use it (international names in Punycode), and the protocol of the server
 * @throws SessionError `invalid_address`, `host_not_found`, `certificate`, `not_this_server`, `no_answer`,
 * `not_confirmed` or `too_many_calls`
 * @example
 * ```ts
 * const { origin } = await checkServer("crm.example.com");
 * ```
 */
export function checkServer(
  address: string,
  account?: string,
  options: { mayAsk?: boolean } = {},
): Promise<ServerCheck> {
  return call("check_server", { address, account, mayAsk: options.mayAsk });
}

/**
 * Signs out in every window. It takes effect at once, even if the server cannot be reached.
 *
 * @param account - the account to sign out. Default: the window's own
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
 * Skips the pause before the next attempt to reach the server, but not a pause that the server asked for.
 *
 * @param account - the account to try. Default: the window's own
 * @returns the status at the start of the attempt; its outcome follows as a change
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
 * Reads what happened to the session, without secrets. Needs the permission `graphql-session:allow-journal`.
 *
 * @param account - the account to read about. Default: the window's own
 * @returns the entries, oldest first; where there are many, the oldest were dropped
 * @throws SessionError `invalid_request` where the application has no such account
 * @example
 * ```ts
 * const renewals = (await journal()).filter((entry) => entry.what === "renewal");
 * ```
 */
export function journal(account?: string): Promise<JournalEntry[]> {
  return call("journal", { account });
}

/**
 * Makes one text for a bug report: versions, settings, the status with its cause, and the newest journal entries. It
 * holds no token, no e-mail address and no name of a server. Needs the permission
 * `graphql-session:allow-diagnostics`.
 *
 * @param account - the account to report about. Default: the window's own
 * @returns the text, one fact a line
 * @throws SessionError `invalid_request` where the application has no such account
 * @example
 * ```ts
 * copyButton.onclick = async () => navigator.clipboard.writeText(await diagnostics());
 * ```
 */
export function diagnostics(account?: string): Promise<string> {
  return call("diagnostics", { account });
}
