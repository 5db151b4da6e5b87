import { ApolloClient, gql, HttpLink, InMemoryCache } from "@apollo/client";
import type { TypedDocumentNode } from "@apollo/client";
import { createSessionFetch } from "tauri-plugin-graphql-session-api";

import { CREATE, ME, named } from "./operations";
import type { Created, Creating, Me, Trial } from "./operations";

const client = new ApolloClient({
  link: new HttpLink({ uri: "/graphql", fetch: createSessionFetch() }),
  cache: new InMemoryCache(),
});

const me: TypedDocumentNode<Me> = gql(ME);
const create: TypedDocumentNode<Created, Creating> = gql(CREATE);

export const apollo: Trial = {
  query: async () => (await client.query({ query: me, fetchPolicy: "network-only" })).data!.currentUser.email,
  mutate: async (firstName) =>
    (await client.mutate({ mutation: create, variables: named(firstName) })).data!.createPerson.name.firstName,
};
