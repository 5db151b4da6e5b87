// @ts-check
/** oidc-client-ts with a refresh token, as docs/protocols/refresh-token-grant.md and its UserManager sample show. */
import { ErrorResponse, User, UserManager, WebStorageStateStore } from "oidc-client-ts";

import { post } from "../client.js";
/** @import * as compare from "../client.js" */

const CLIENT_ID = "holdfast";

/** @param {string} origin */
const userKey = (origin) => `oidc.user:${origin}:${CLIENT_ID}`;

/** @type {compare.Client} */
export const client = {
  packages: ["oidc-client-ts"],
  looksAtClock: true,

  signedIn(storage, tokens, origin) {
    const user = new User({
      access_token: tokens.access,
      refresh_token: tokens.refresh,
      token_type: "Bearer",
      scope: "openid",
      expires_at: Math.floor(Date.parse(tokens.accessExpiresAt) / 1000),
      profile: { sub: "ada", iss: origin, aud: CLIENT_ID, exp: 0, iat: 0 },
    });
    storage.setItem(userKey(origin), user.toStorageString());
  },

  open({ origin, storage, onLogout }) {
    const manager = new UserManager({
      authority: origin,
      client_id: CLIENT_ID,
      redirect_uri: `${origin}/callback`,
      metadata: {
        issuer: origin,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/oauth/token`,
      },
      userStore: new WebStorageStateStore({ store: /** @type {Storage} */ (/** @type {unknown} */ (storage)) }),
      automaticSilentRenew: true,
    });
    /**
     * "Error class thrown in case of an authentication error": the one by which the application learns that it must
     * sign in.
     *
     * @param {unknown} error
     */
    const heed = (error) => {
      if (error instanceof ErrorResponse) onLogout();
    };
    manager.events.addSilentRenewError(heed);
    /** @type {Promise<User | null> | null} */
    let renewal = null;
    // The one place of an application that renews: signinSilent() has no single flight of its own.
    const renewed = () =>
      (renewal ??= manager
        .signinSilent()
        .catch((error) => {
          heed(error);
          throw error;
        })
        .finally(() => {
          renewal = null;
        }));
    const stored = () => JSON.parse(storage.getItem(userKey(origin)) ?? "null");

    return {
      async call(operation, signal) {
        let user = await manager.getUser();
        if (user?.expired) user = await renewed();
        /** @type {Record<string, string>} */
        const headers = user ? { authorization: `Bearer ${user.access_token}` } : {};
        return post(origin, headers, operation, signal);
      },
      tokens() {
        const user = stored();
        return user ? { access: user.access_token, refresh: user.refresh_token } : undefined;
      },
      // signoutRedirect() removes the user and leaves the page; there is no page here to leave.
      signOut: () => manager.removeUser(),
      expire() {
        const user = stored();
        if (user) storage.setItem(userKey(origin), JSON.stringify({ ...user, expires_at: 1 }));
      },
    };
  },
};
