// @ts-check
/** urql with its authExchange, as in docs/advanced/authentication.md and examples/with-refresh-auth. */
import { Client, fetchExchange, gql } from "@urql/core";
import { authExchange } from "@urql/exchange-auth";
import { filter, pipe, subscribe, take } from "wonka";

import { RENEW_TOKEN, isMutation, parsedOnce } from "../client.js";
/** @import * as compare from "../client.js" */

const RENEW = gql(RENEW_TOKEN);

/** @type {compare.Client} */
export const client = {
  packages: ["@urql/core", "@urql/exchange-auth"],
  looksAtClock: true,

  signedIn(storage, tokens) {
    storage.setItem("token", tokens.access);
    storage.setItem("refreshToken", tokens.refresh);
    storage.setItem("tokenExpiresAt", tokens.accessExpiresAt);
  },

  open(place) {
    const { storage } = place;
    const document = parsedOnce((query) => gql(query));
    /** What takes back each call that is under way. @type {Set<(reason: unknown) => void>} */
    const underWay = new Set();
    const logout = () => {
      place.onLogout();
      // The example's `window.location.reload()`: nobody waits for the old page's calls, the new one has a new client.
      urql = newClient(place, logout);
      for (const takeBack of underWay) takeBack(new Error("the page was reloaded"));
    };
    let urql = newClient(place, logout);

    return {
      call: ({ query, variables = {} }, signal) =>
        new Promise((resolve, reject) => {
          let unsubscribe = () => {};
          const takeBack = (/** @type {unknown} */ reason) => {
            underWay.delete(takeBack);
            unsubscribe();
            reject(reason);
          };
          // Before it begins: without a token the client logs out at once.
          underWay.add(takeBack);
          signal?.addEventListener("abort", () => takeBack(signal.reason));
          const source = isMutation({ query })
            ? urql.client.mutation(document(query), variables)
            : urql.client.query(document(query), variables, { requestPolicy: "network-only" });
          // What urql's own toPromise() does, and its subscription, with which a call can be taken back.
          ({ unsubscribe } = pipe(
            source,
            filter((result) => !result.stale && !result.hasNext),
            take(1),
            subscribe(({ data, error }) => {
              underWay.delete(takeBack);
              if (error?.networkError) reject(error);
              else resolve({ data, errors: error?.graphQLErrors });
            }),
          ));
        }),
      tokens: () => stored(storage) ?? urql.tokens(),
      async signOut() {
        storage.clear();
        // "We need to ensure that the Client is reinitialized whenever the authentication state changes."
        urql = newClient(place, logout);
      },
      expire: () => storage.setItem("tokenExpiresAt", new Date(0).toISOString()),
    };
  },
};

/** @param {compare.Place} place @param {() => void} logout */
function newClient({ origin, storage }, logout) {
  /** @type {string | null} */
  let token;
  /** @type {string | null} */
  let refreshToken;
  const readStorage = () => {
    token = storage.getItem("token");
    refreshToken = storage.getItem("refreshToken");
  };
  readStorage();

  const auth = authExchange(async (utilities) => ({
    addAuthToOperation: (operation) =>
      token ? utilities.appendHeaders(operation, { Authorization: `Bearer ${token}` }) : operation,
    didAuthError: (error) => error.graphQLErrors.some((e) => e.extensions?.code === "UNAUTHENTICATED"),
    willAuthError() {
      // The example reads its tokens again here; the page tells to look at the expiry here.
      readStorage();
      return !token || Date.parse(storage.getItem("tokenExpiresAt") ?? "") <= Date.now();
    },
    async refreshAuth() {
      if (refreshToken) {
        const result = await utilities.mutate(RENEW, { appToken: refreshToken }, { url: `${origin}/metadata` });
        /** @type {compare.TokenPair | undefined} */
        const renewed = result.data?.renewToken?.tokens;
        if (renewed) {
          token = renewed.accessOrWorkspaceAgnosticToken.token;
          refreshToken = renewed.refreshToken.token;
          storage.setItem("token", token);
          storage.setItem("refreshToken", refreshToken);
          storage.setItem("tokenExpiresAt", renewed.accessOrWorkspaceAgnosticToken.expiresAt);
          return;
        }
      }
      storage.clear();
      logout();
      // The page does not live to see what comes after.
      await new Promise(() => {});
    },
  }));

  return {
    client: new Client({ url: `${origin}/graphql`, exchanges: [auth, fetchExchange], preferGetMethod: false }),
    tokens: () => (token && refreshToken ? { access: token, refresh: refreshToken } : undefined),
  };
}

/** @param {compare.Place["storage"]} storage */
function stored(storage) {
  const access = storage.getItem("token");
  const refresh = storage.getItem("refreshToken");
  return access && refresh ? { access, refresh } : undefined;
}
