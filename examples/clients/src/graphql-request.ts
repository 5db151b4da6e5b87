import { GraphQLClient } from "graphql-request";
import { createSessionFetch } from "tauri-plugin-graphql-session-api";

import { CREATE, ME, named } from "./operations";
import type { Created, Me, Trial } from "./operations";

// graphql-request needs an absolute address: the page's own, which names no server.
const client = new GraphQLClient(new URL("/graphql", location.href).href, { fetch: createSessionFetch() });

export const graphqlRequest: Trial = {
  query: async () => (await client.request<Me>(ME)).currentUser.email,
  mutate: async (firstName) => {
    const variables = { ...named(firstName) };
    return (await client.request<Created>(CREATE, variables)).createPerson.name.firstName;
  },
};
