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

  signedIn(storage, tokens) {
    storage.setItem("token", tokens.access);
    storage.setItem("refreshToken", tokens.refresh);
    storage.setItem("tokenExpiresAt", tokens.accessExpiresAt);
  },

  open(place) {
    const { storage } = place;
    const document = parsedOnce((query) => gql(query));
    let urql = newClient(place);

    return {
      call: ({ query, variables = {} }, signal) =>
        new Promise((resolve, reject) => {
          const source = isMutation({ query })
            ? urql.client.mutation(document(query), variables)
            : urql.client.query(document(query), variables, { requestPolicy: "network-only" });
          // What urql's own toPromise() does, and its subscription, with which a call can be taken back.
          const { unsubscribe } = pipe(
            source,
            filter((result) => !result.stale && !result.hasNext),
            take(1),
            subscribe(({ data, error }) => {
              if (error?.networkError) reject(error);
              else resolve({ data, errors: error?.graphQLErrors });
            }),
          );
          signal?.addEventListener("abort", () => {
            unsubscribe();
            reject(signal.reason);
          });
        }),
      tokens: () => stored(storage) ?? urql.tokens(),
      async signOut() {
        storage.clear();
        // "We need to ensure that the Client is reinitialized whenever the authentication state changes."
        urql = newClient(place);
      },
      expire: () => storage.setItem("tokenExpiresAt", new Date(0).toISOString()),
    };
  },
};

/** @param {compare.Place} place */
function newClient({ origin, storage, onLogout }) {
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
      onLogout();
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
