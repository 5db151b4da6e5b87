// @ts-check
/** apollo-link-token-refresh with Apollo Client 3, the newest that it supports, as its README shows. */
import { createRequire } from "node:module";

import { RENEW_TOKEN, isMutation, parsedOnce } from "../client.js";
/** @import * as compare from "../client.js" */

// Both as CommonJS: the link is published for Node in that form alone, and requires this very Apollo Client.
const require = createRequire(import.meta.url);
/** @type {typeof import("@apollo/client/core")} */
const { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } = require("@apollo/client/core");
/** @type {typeof import("@apollo/client/link/context")} */
const { setContext } = require("@apollo/client/link/context");
/** @type {typeof import("apollo-link-token-refresh")} */
const { TokenRefreshLink } = require("apollo-link-token-refresh");

/** @type {compare.Client} */
export const client = {
  packages: ["apollo-link-token-refresh", "@apollo/client"],
  looksAtClock: true,

  signedIn(storage, tokens) {
    storage.setItem("accessToken", tokens.access);
    storage.setItem("refreshToken", tokens.refresh);
    storage.setItem("expiresIn", String(Date.parse(tokens.accessExpiresAt)));
  },

  open({ origin, storage, onLogout }) {
    const isTokenExpired = () => Number(storage.getItem("expiresIn")) <= Date.now();
    const accessToken = () => storage.getItem("accessToken");

    const refreshLink =
      // With the type parameter of the README's section "Custom access token payload".
      /** @type {import("apollo-link-token-refresh").TokenRefreshLink<{ tokens: compare.TokenPair }>} */ (
        new TokenRefreshLink({
          accessTokenField: "renewToken",
          isTokenValidOrUndefined: async () => !isTokenExpired() || typeof accessToken() !== "string",
          fetchAccessToken: () =>
            fetch(`${origin}/metadata`, {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: JSON.stringify({ query: RENEW_TOKEN, variables: { appToken: storage.getItem("refreshToken") } }),
            }),
          handleFetch(/** @type {any} */ { tokens }) {
            storage.setItem("accessToken", tokens.accessOrWorkspaceAgnosticToken.token);
            storage.setItem("refreshToken", tokens.refreshToken.token);
            storage.setItem("expiresIn", String(Date.parse(tokens.accessOrWorkspaceAgnosticToken.expiresAt)));
          },
          handleError(error) {
            // The README's condition. A web view has a navigator, and it is online here.
            if (error instanceof TypeError && error.message === "Network request failed") return;
            storage.clear();
            onLogout();
          },
        })
      );
    const requestLink = setContext((_, { headers }) => ({
      headers: { ...headers, authorization: `Bearer ${accessToken()}` },
    }));
    const document = parsedOnce((query) => gql(query));
    const apollo = new ApolloClient({
      cache: new InMemoryCache(),
      link: ApolloLink.from([refreshLink, requestLink, new HttpLink({ uri: `${origin}/graphql` })]),
    });

    return {
      async call({ query, variables }, signal) {
        const context = { queryDeduplication: false, fetchOptions: { signal } };
        const result = isMutation({ query })
          ? await apollo.mutate({ mutation: document(query), variables, context })
          : await apollo.query({ query: document(query), variables, context, fetchPolicy: "network-only" });
        return { data: result.data };
      },
      tokens() {
        const access = accessToken();
        const refresh = storage.getItem("refreshToken");
        return access && refresh ? { access, refresh } : undefined;
      },
      async signOut() {
        storage.clear();
        await apollo.clearStore();
      },
      expire: () => storage.setItem("expiresIn", "0"),
    };
  },
};
