// @ts-check
/** axios with axios-auth-refresh, as its README shows. */
import axios from "axios";
import { createAuthRefresh } from "axios-auth-refresh";

import { RENEW_TOKEN } from "../client.js";
/** @import * as compare from "../client.js" */

/** Over `fetch`, as the bare requests beside it. In Node axios would use `http`, which has connections of its own. */
const adapter = "fetch";

/** @type {compare.Client} */
export const client = {
  packages: ["axios-auth-refresh", "axios"],
  looksAtClock: false,

  signedIn(storage, tokens) {
    storage.setItem("token", tokens.access);
    storage.setItem("refreshToken", tokens.refresh);
  },

  open({ origin, storage }) {
    const instance = axios.create({ adapter });

    // "Make sure the stalled requests are using the newly fetched data": the README's request interceptor.
    instance.interceptors.request.use((request) => {
      request.headers["Authorization"] = `Bearer ${storage.getItem("token")}`;
      return request;
    });

    createAuthRefresh(instance, async (failedRequest) => {
      const appToken = storage.getItem("refreshToken");
      const reply = await axios.post(
        `${origin}/metadata`,
        { query: RENEW_TOKEN, variables: { appToken } },
        { adapter },
      );
      // The README's server would have rejected with an HTTP status, which axios throws. GraphQL rejects with 200.
      if (reply.data.errors) throw new Error("The renewal was rejected");
      /** @type {compare.TokenPair} */
      const tokens = reply.data.data.renewToken.tokens;
      storage.setItem("token", tokens.accessOrWorkspaceAgnosticToken.token);
      storage.setItem("refreshToken", tokens.refreshToken.token);
      failedRequest.response.config.headers["Authorization"] = `Bearer ${tokens.accessOrWorkspaceAgnosticToken.token}`;
    });

    return {
      call: async (operation, signal) => (await instance.post(`${origin}/graphql`, operation, { signal })).data,
      tokens() {
        const access = storage.getItem("token");
        const refresh = storage.getItem("refreshToken");
        return access && refresh ? { access, refresh } : undefined;
      },
      async signOut() {
        storage.clear();
      },
      expire() {},
    };
  },
};
