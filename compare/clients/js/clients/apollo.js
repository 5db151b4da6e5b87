// @ts-check
/**
 * Apollo Client in the shape that Twenty's front end gave it while it held its tokens itself (spring and summer of
 * 2026): an error link, and one renewal that all refused operations of a window wait for.
 */
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "apollo-client-4";
import { SetContextLink } from "apollo-client-4/link/context";
import { ErrorLink } from "apollo-client-4/link/error";
import { RetryLink } from "apollo-client-4/link/retry";
import { ServerError } from "apollo-client-4/errors";
import { from, mergeMap, throwError } from "rxjs";
import { setTimeout as sleep } from "node:timers/promises";

import { RENEW_TOKEN, isMutation, parsedOnce } from "../client.js";
import { StorageChange } from "../store.js";
/** @import * as compare from "../client.js" */

const TOKEN_PAIR = "tokenPair";
const RENEW = gql(RENEW_TOKEN);

/** A renewal that failed without the server's word is tried again so often, after 1, 2 and 3 seconds. */
const RENEWAL_RETRIES = 3;
const RENEWAL_RETRY_DELAY_MS = 1000;
/** The answers to a renewal that mean: this refresh token is no good. */
const REJECTIONS = ["UNAUTHENTICATED", "FORBIDDEN", "BAD_USER_INPUT"];

/** @type {compare.Client} */
export const client = {
  packages: ["apollo-client-4"],
  looksAtClock: false,

  signedIn(storage, tokens) {
    /** @type {compare.TokenPair} */
    const pair = {
      accessOrWorkspaceAgnosticToken: { token: tokens.access, expiresAt: tokens.accessExpiresAt },
      refreshToken: { token: tokens.refresh, expiresAt: tokens.refreshExpiresAt },
    };
    storage.setItem(TOKEN_PAIR, JSON.stringify(pair));
  },

  open({ origin, storage, onLogout }) {
    const session = tokenPairState(storage, onLogout);
    const document = parsedOnce((query) => gql(query));
    const apollo = new ApolloClient({
      cache: new InMemoryCache(),
      link: sessionLink(origin, session, () => {
        session.set(null);
        onLogout();
      }),
    });

    return {
      async call({ query, variables }, signal) {
        if (isMutation({ query })) {
          const { data } = await apollo.mutate({ mutation: document(query), variables });
          return { data };
        }
        const options = { query: document(query), variables, context: { queryDeduplication: false } };
        if (signal) return watched(apollo, options, signal);
        const { data } = await apollo.query({ ...options, fetchPolicy: "network-only" });
        return { data };
      },
      tokens() {
        const pair = session.get() ?? parse(storage.getItem(TOKEN_PAIR));
        return pair
          ? { access: pair.accessOrWorkspaceAgnosticToken.token, refresh: pair.refreshToken.token }
          : undefined;
      },
      async signOut() {
        session.set(null);
        await apollo.clearStore();
      },
      expire() {},
    };
  },
};

/**
 * A query that can be taken back as a page's `useQuery` does it: by unsubscribing. (A signal in `fetchOptions` does
 * not get along with the retry link: the second attempt does not see that its signal has been aborted, and asks the
 * server again.)
 *
 * @param {ApolloClient} apollo
 * @param {ApolloClient.WatchQueryOptions} options
 * @param {AbortSignal} signal
 * @returns {Promise<compare.GraphQLReply>}
 */
function watched(apollo, options, signal) {
  return new Promise((resolve, reject) => {
    // Without the cache: another call's result must not settle this one.
    const subscription = apollo.watchQuery({ ...options, fetchPolicy: "no-cache" }).subscribe((result) => {
      if (result.loading) return;
      // In a task of its own, because the first result may come before `subscribe` has returned.
      queueMicrotask(() => subscription.unsubscribe());
      if (result.error) reject(result.error);
      else resolve({ data: result.data });
    });
    signal.addEventListener("abort", () => {
      subscription.unsubscribe();
      reject(signal.reason);
    });
  });
}

/**
 * @param {string} origin
 * @param {ReturnType<typeof tokenPairState>} session
 * @param {() => void} onUnauthenticatedError
 */
function sessionLink(origin, session, onUnauthenticatedError) {
  /** @type {Promise<boolean> | null} */
  let renewal = null;

  const renewed = async () => {
    const before = session.get()?.refreshToken?.token;
    if (!before) {
      onUnauthenticatedError();
      return false;
    }
    try {
      const pair = await retryingRenewal(origin, session);
      if (session.get()?.refreshToken.token === before) session.set(pair);
      return true;
    } catch (error) {
      if (isRejection(error)) onUnauthenticatedError();
      return false;
    }
  };

  const errorLink = new ErrorLink(({ error, operation, forward }) => {
    if (!CombinedGraphQLErrors.is(error) || !error.errors.some(isUnauthenticated)) return;
    if (!session.get()) return throwError(() => error);
    renewal ??= renewed().finally(() => {
      renewal = null;
    });
    return from(renewal).pipe(mergeMap((ok) => (ok ? forward(operation) : throwError(() => error))));
  });

  const authLink = new SetContextLink(({ headers }) => {
    const token = session.get()?.accessOrWorkspaceAgnosticToken.token;
    return token ? { headers: { ...headers, authorization: `Bearer ${token}` } } : { headers };
  });

  const retryLink = new RetryLink({
    delay: { initial: 3000 },
    attempts: { max: 2, retryIf: (error) => !(ServerError.is(error) && error.statusCode === 401) },
  });

  return ApolloLink.from([errorLink, authLink, retryLink, new HttpLink({ uri: `${origin}/graphql` })]);
}

/** @param {{ message: string, extensions?: Record<string, unknown> }} error */
const isUnauthenticated = (error) => error.message === "Unauthorized" || error.extensions?.code === "UNAUTHENTICATED";

/** @param {unknown} error */
const isRejection = (error) =>
  CombinedGraphQLErrors.is(error) && error.errors.some((e) => REJECTIONS.includes(String(e.extensions?.code)));

/**
 * @param {string} origin
 * @param {ReturnType<typeof tokenPairState>} session
 * @returns {Promise<compare.TokenPair>}
 */
async function retryingRenewal(origin, session) {
  for (let retry = 1; ; retry++) {
    try {
      return await exchange(origin, session.get()?.refreshToken.token);
    } catch (error) {
      if (CombinedGraphQLErrors.is(error) || retry > RENEWAL_RETRIES) throw error;
      await sleep(RENEWAL_RETRY_DELAY_MS * retry);
    }
  }
}

/**
 * A client of its own for the renewal, so that it goes around the links above.
 *
 * @param {string} origin
 * @param {string | undefined} appToken
 * @returns {Promise<compare.TokenPair>}
 */
async function exchange(origin, appToken) {
  const apollo = new ApolloClient({ link: new HttpLink({ uri: `${origin}/metadata` }), cache: new InMemoryCache() });
  const result = await apollo.mutate({ mutation: RENEW, variables: { appToken }, fetchPolicy: "network-only" });
  const pair = /** @type {any} */ (result.data)?.renewToken?.tokens;
  if (!pair) throw new Error("The renewal answered without tokens");
  return pair;
}

/**
 * The pair in this window's memory. It is written through to the store, and follows the other windows by `storage`
 * events; a window whose pair another one has removed shows the sign-in screen.
 *
 * @param {compare.Place["storage"]} storage
 * @param {() => void} onLogout
 */
function tokenPairState(storage, onLogout) {
  let pair = parse(storage.getItem(TOKEN_PAIR));
  storage.addEventListener("storage", (event) => {
    if (!(event instanceof StorageChange) || event.key !== TOKEN_PAIR) return;
    const before = pair;
    pair = parse(event.newValue);
    if (before && !pair) onLogout();
  });
  return {
    get: () => pair,
    /** @param {compare.TokenPair | null} next */
    set(next) {
      pair = next;
      if (next) storage.setItem(TOKEN_PAIR, JSON.stringify(next));
      else storage.removeItem(TOKEN_PAIR);
    },
  };
}

/** @param {string | null} text @returns {compare.TokenPair | null} */
const parse = (text) => (text ? JSON.parse(text) : null);
