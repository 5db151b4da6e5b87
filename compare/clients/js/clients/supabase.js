// @ts-check
/** Supabase's auth-js with its defaults, and calls as supabase-js makes them: `getSession()` first, then the bearer. */
import { AuthClient } from "@supabase/auth-js";

import { post } from "../client.js";
/** @import * as compare from "../client.js" */

// auth-js asks for `window` and `document` to know that it is in a page, and only then tells the other windows what
// happened, over its BroadcastChannel. The windows here are web views, so it is given what it reads of them.
const page = { location: { href: "http://localhost/" }, addEventListener() {}, removeEventListener() {} };
Object.assign(globalThis, { window: page, document: { visibilityState: "visible" } });

const STORAGE_KEY = "supabase.auth.token";
/** What supabase-js sends as `apikey`, and as the bearer where there is no session. */
const PUBLISHABLE_KEY = "publishable-key";
/** As the server answers with it. */
const USER = { id: "ada", aud: "authenticated", role: "authenticated", email: "ada@example.com" };

/** @type {compare.Client} */
export const client = {
  packages: ["@supabase/auth-js"],
  looksAtClock: true,

  signedIn(storage, tokens) {
    const expiresAt = Math.floor(Date.parse(tokens.accessExpiresAt) / 1000);
    storage.setItem(
      STORAGE_KEY,
      JSON.stringify({
        access_token: tokens.access,
        refresh_token: tokens.refresh,
        token_type: "bearer",
        expires_at: expiresAt,
        expires_in: expiresAt - Math.floor(Date.now() / 1000),
        user: USER,
      }),
    );
  },

  open({ origin, storage, onLogout }) {
    const auth = new AuthClient({
      url: `${origin}/auth/v1`,
      headers: { apikey: PUBLISHABLE_KEY },
      storageKey: STORAGE_KEY,
      storage,
    });
    auth.onAuthStateChange((event) => {
      if (event === "SIGNED_OUT") onLogout();
    });
    const session = () => JSON.parse(storage.getItem(STORAGE_KEY) ?? "null");

    return {
      async call(operation, signal) {
        const { data } = await auth.getSession();
        const bearer = data.session?.access_token ?? PUBLISHABLE_KEY;
        return post(origin, { apikey: PUBLISHABLE_KEY, authorization: `Bearer ${bearer}` }, operation, signal);
      },
      tokens() {
        const stored = session();
        return stored ? { access: stored.access_token, refresh: stored.refresh_token } : undefined;
      },
      async signOut() {
        const { error } = await auth.signOut();
        if (error) throw error;
      },
      expire() {
        const stored = session();
        if (stored) storage.setItem(STORAGE_KEY, JSON.stringify({ ...stored, expires_at: 1, expires_in: 0 }));
      },
    };
  },
};
