import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache, ServerError } from "@apollo/client";
import type { TypedDocumentNode } from "@apollo/client";
import { expect, it } from "vitest";

import { createSessionFetch } from "../../index.js";
import { rejectionOf } from "../host.js";
import { expectSessionErrors, NEVER, Plugin } from "../plugin.js";
import { ADA, BIG, PARTIAL, PEOPLE, REFUSED, RENAME, RENAMED } from "./people.js";
import type { People } from "./people.js";

const people: TypedDocumentNode<People, { first?: number }> = gql(PEOPLE);

function clientOf(options: Partial<HttpLink.Options> = {}): ApolloClient {
  return new ApolloClient({
    link: new HttpLink({ uri: "/graphql", fetch: createSessionFetch(), ...options }),
    cache: new InMemoryCache(),
    // The devtools need a browser.
    devtools: { enabled: false },
  });
}

it("a query is sent as Apollo Client writes it", async () => {
  const plugin = new Plugin(() => ADA);
  const { data } = await clientOf().query({ query: people, variables: { first: 1 } });
  expect(data?.people[0]?.name).toBe("Ada");
  expect(plugin.lastCall.endpoint).toBe("graphql");
  expect(plugin.lastCall.operation).toMatchObject({ operationName: "People", variables: { first: 1 } });
  expect(plugin.lastCall.operation.query).toContain("__typename");
});

it("a query by GET is sent as a POST", async () => {
  const plugin = new Plugin(() => ADA);
  const { data } = await clientOf({ useGETForQueries: true }).query({ query: people, variables: { first: 1 } });
  expect(data?.people[0]?.name).toBe("Ada");
  expect(plugin.lastCall.operation).toMatchObject({ operationName: "People", variables: { first: 1 } });
});

it("a query goes to the endpoint that its context names", async () => {
  const plugin = new Plugin(() => ADA);
  await clientOf().query({ query: people, context: { uri: "/metadata" } });
  expect(plugin.lastCall.endpoint).toBe("metadata");
});

it("a mutation updates the cache", async () => {
  new Plugin(({ operation }) => (operation.operationName === "Rename" ? RENAMED : ADA));
  const client = clientOf();
  await client.query({ query: people });
  await client.mutate({ mutation: gql(RENAME), variables: { id: "1", name: "Ada L." } });
  expect(client.readQuery({ query: people })?.people[0]?.name).toBe("Ada L.");
});

it("two identical mutations are two calls", async () => {
  const plugin = new Plugin(() => RENAMED);
  const client = clientOf();
  const rename = { mutation: gql(RENAME), variables: { id: "1", name: "Ada L." } };
  await Promise.all([client.mutate(rename), client.mutate(rename)]);
  expect(new Set(plugin.calls.map(({ requestId }) => requestId)).size).toBe(2);
});

it("GraphQL errors arrive as from any server", async () => {
  new Plugin(() => REFUSED);
  const problem = await rejectionOf(clientOf().query({ query: people }));
  expect(CombinedGraphQLErrors.is(problem) && problem.errors[0]).toMatchObject({
    message: "No such field",
    extensions: { code: "GRAPHQL_VALIDATION_FAILED" },
  });
});

it("partial data arrives beside its errors", async () => {
  new Plugin(() => PARTIAL);
  const { data, error } = await clientOf().query({ query: people, errorPolicy: "all" });
  expect(data?.people).toEqual([{ __typename: "Person", id: "1", name: null }]);
  expect(CombinedGraphQLErrors.is(error) && error.errors[0]?.path).toEqual(["people", 0, "name"]);
});

it("a status other than 2xx is a ServerError with the body", async () => {
  new Plugin(() => ({ status: 503, contentType: "text/html", body: "<h1>Away</h1>" }));
  const problem = await rejectionOf(clientOf().query({ query: people }));
  expect(ServerError.is(problem) && [problem.statusCode, problem.bodyText]).toEqual([503, "<h1>Away</h1>"]);
});

it("the body arrives byte for byte", async () => {
  new Plugin(() => BIG);
  let text = "";
  const sessionFetch = createSessionFetch();
  const client = clientOf({
    fetch: async (...call) => {
      const response = await sessionFetch(...call);
      text = await response.clone().text();
      return response;
    },
  });
  await client.query({ query: people });
  expect(text).toBe(BIG);
});

it("a failed call rejects with the SessionError itself", async () => {
  await expectSessionErrors(() => rejectionOf(clientOf().query({ query: people })));
});

it("an aborted signal cancels the call", async () => {
  const plugin = new Plugin(() => NEVER);
  const abort = new AbortController();
  const context = { fetchOptions: { signal: abort.signal } };
  const asked = rejectionOf(clientOf().query({ query: people, context }));
  await plugin.expectCancelledBy(() => {
    abort.abort();
  });
  expect(await asked).toMatchObject({ name: "AbortError" });
});

it("the call is cancelled when the last observer of a query leaves", async () => {
  const plugin = new Plugin(() => NEVER);
  const watching = clientOf().watchQuery({ query: people }).subscribe({});
  await plugin.expectCancelledBy(() => {
    watching.unsubscribe();
  });
});
