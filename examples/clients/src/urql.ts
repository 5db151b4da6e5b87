import { cacheExchange, Client, fetchExchange } from "@urql/core";
import { createSessionFetch } from "tauri-plugin-graphql-session-api";

import { CREATE, ME, named } from "./operations";
import type { Created, Me, Trial } from "./operations";

const client = new Client({
  url: "/graphql",
  fetch: createSessionFetch(),
  exchanges: [cacheExchange, fetchExchange],
});

export const urql: Trial = {
  // urql sends a short query by GET; the session sends it as a POST.
  query: async () => {
    const { data, error } = await client.query<Me>(ME, {}, { requestPolicy: "network-only" }).toPromise();
    if (!data) throw error?.networkError ?? error;
    return data.currentUser.email;
  },
  mutate: async (firstName) => {
    const { data, error } = await client.mutation<Created>(CREATE, named(firstName)).toPromise();
    if (!data) throw error?.networkError ?? error;
    return data.createPerson.name.firstName;
  },
};
