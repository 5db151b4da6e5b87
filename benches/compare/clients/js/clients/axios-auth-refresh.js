// @ts-check
/** axios with axios-auth-refresh, as its README shows. */
import { Agent } from "node:http";

import axios from "axios";
import { createAuthRefresh } from "axios-auth-refresh";

import { RENEW_TOKEN } from "../client.js";
import { CONNECTIONS } from "../connections.js";
/** @import * as compare from "../client.js" */

const httpAgent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

/** @type {compare.Client} */
export const client = {
  packages: ["axios-auth-refresh", "axios"],

  signedIn(storage, tokens) {
    storage.setItem("token", tokens.access);
    storage.setItem("refreshToken", tokens.refresh);
  },

  open({ origin, storage }) {
    const instance = axios.create({ httpAgent });

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
        { httpAgent },
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
      // It looks at no clock: only the server's refusal tells it.
      expire() {},
    };
  },
};
