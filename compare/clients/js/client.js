// @ts-check
/**
 * What a client under comparison is to the driver: the interface that each file in `clients/` implements, and the
 * few things that all of them need to speak with the server.
 */
/** @import { WindowStorage } from "./store.js" */

/**
 * @typedef {object} Client
 * @property {string[]} packages the npm packages that are compared; the driver answers with their installed versions
 * @property {boolean} looksAtClock whether it renews when it knows that its token has expired. One that does not sends
 *   each call, and learns of the expiry from the refusal
 * @property {(storage: WindowStorage, tokens: SignInTokens, origin: string) => void} signedIn stores what a sign-in
 *   would have stored, in the client's own form
 * @property {(place: Place) => ClientWindow | Promise<ClientWindow>} open one more window, with a memory of its own
 */

/**
 * @typedef {object} Place where a window opens
 * @property {string} origin the server, without a slash at the end
 * @property {WindowStorage} storage
 * @property {() => void} onLogout the client tells the application: show the sign-in screen now
 */

/**
 * @typedef {object} ClientWindow
 * @property {(operation: Operation, signal?: AbortSignal) => Promise<GraphQLReply>} call one operation; rejects
 *   with whatever the client throws. An aborted signal takes the call back by the client's own means
 * @property {() => Tokens | undefined} tokens the credentials that the client still holds, in memory or store
 * @property {() => Promise<void>} signOut the person signs out
 * @property {() => void} expire what the client knows of time says now that its access token has expired
 */

/** @typedef {{ query: string, variables?: Record<string, unknown> }} Operation */
/** @typedef {{ data?: unknown, errors?: readonly unknown[] }} GraphQLReply */
/** @typedef {{ access: string, refresh: string }} Tokens */
/** @typedef {Tokens & { accessExpiresAt: string, refreshExpiresAt: string }} SignInTokens times in ISO 8601 */

/** Twenty's renewal. Its answer has the tokens under `renewToken.tokens`. */
export const RENEW_TOKEN = `mutation RenewToken($appToken: String!) {
  renewToken(appToken: $appToken) {
    tokens {
      accessOrWorkspaceAgnosticToken { token expiresAt }
      refreshToken { token expiresAt }
    }
  }
}`;

/**
 * Twenty's pair of tokens, as the renewal answers with it and as Twenty's front end stores it.
 *
 * @typedef {object} TokenPair
 * @property {{ token: string, expiresAt: string }} accessOrWorkspaceAgnosticToken
 * @property {{ token: string, expiresAt: string }} refreshToken
 */

/** @param {Operation} operation */
export const isMutation = (operation) => operation.query.trimStart().startsWith("mutation");

/**
 * Parses each document once, as a page does with its constants.
 *
 * @template T
 * @param {(query: string) => T} parse
 * @returns {(query: string) => T}
 */
export function parsedOnce(parse) {
  /** @type {Map<string, T>} */
  const documents = new Map();
  return (query) => {
    let document = documents.get(query);
    if (!document) documents.set(query, (document = parse(query)));
    return document;
  };
}

/**
 * One GraphQL request, as a page writes it around a client that only hands out tokens.
 *
 * @param {string} origin
 * @param {Record<string, string>} headers
 * @param {Operation} operation
 * @param {AbortSignal} [signal]
 * @returns {Promise<GraphQLReply>}
 */
export async function post(origin, headers, operation, signal) {
  const reply = await fetch(`${origin}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json", ...headers },
    body: JSON.stringify(operation),
    signal,
  });
  if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
  return /** @type {Promise<GraphQLReply>} */ (reply.json());
}
