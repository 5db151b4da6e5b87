import { ClientError, GraphQLClient } from "graphql-request";
import { expect, it } from "vitest";

import { createSessionFetch } from "../../index.js";
import { rejectionOf } from "../host.js";
import { expectSessionErrors, NEVER, Plugin } from "../plugin.js";
import { ADA, BIG, PARTIAL, PEOPLE, REFUSED, RENAME, RENAMED } from "./people.js";
import type { People } from "./people.js";

type Options = NonNullable<ConstructorParameters<typeof GraphQLClient>[1]>;

/** graphql-request needs an absolute address: the page's own, which names no server. */
function clientOf(options: Options = {}): GraphQLClient {
  return new GraphQLClient(new URL("/graphql", location.href).href, { fetch: createSessionFetch(), ...options });
}

it("a query is sent to the page's own address", async () => {
  const plugin = new Plugin(() => ADA);
  const { people } = await clientOf().request<People>(PEOPLE, { first: 1 });
  expect(people[0]?.name).toBe("Ada");
  expect(plugin.lastCall.endpoint).toBe("graphql");
  expect(plugin.lastCall.operation).toMatchObject({ operationName: "People", variables: { first: 1 } });
});

it("a query by GET is sent as a POST", async () => {
  const plugin = new Plugin(() => ADA);
  const { people } = await clientOf({ method: "GET" }).request<People>(PEOPLE, { first: 1 });
  expect(people[0]?.name).toBe("Ada");
  expect(plugin.lastCall.operation).toMatchObject({ operationName: "People", variables: { first: 1 } });
});

it("the address of a server is refused", async () => {
  const plugin = new Plugin(() => ADA);
  const client = new GraphQLClient("https://crm.example.com/graphql", { fetch: createSessionFetch() });
  expect(await rejectionOf(client.request(PEOPLE))).toMatchObject({ code: "invalid_request" });
  expect(plugin.calls).toEqual([]);
});

it("a mutation is sent with its variables", async () => {
  const plugin = new Plugin(() => RENAMED);
  const variables = { id: "1", name: "Ada L." };
  expect(await clientOf().request(RENAME, variables)).toMatchObject({ rename: { name: "Ada L." } });
  expect(plugin.lastCall.operation).toMatchObject({ operationName: "Rename", variables });
});

it("a batch is one call, and each answer reaches its own request", async () => {
  const plugin = new Plugin(() => `[${ADA},${RENAMED}]`);
  const answers = await clientOf().batchRequests([
    { document: PEOPLE, variables: { first: 1 } },
    { document: RENAME, variables: { id: "1", name: "Ada L." } },
  ]);
  expect(answers).toMatchObject([{ data: { people: [{ name: "Ada" }] } }, { data: { rename: { name: "Ada L." } } }]);
  expect(plugin.calls).toHaveLength(1);
  expect(plugin.lastCall.operation).toMatchObject([{ variables: { first: 1 } }, { variables: { name: "Ada L." } }]);
});

it("GraphQL errors arrive as from any server", async () => {
  new Plugin(() => REFUSED);
  const problem = await rejectionOf(clientOf().request(PEOPLE));
  expect(problem).toBeInstanceOf(ClientError);
  expect((problem as ClientError).response.errors?.[0]).toMatchObject({
    message: "No such field",
    extensions: { code: "GRAPHQL_VALIDATION_FAILED" },
  });
});

it("partial data arrives beside its errors", async () => {
  new Plugin(() => PARTIAL);
  const { data, errors } = await clientOf({ errorPolicy: "all" }).rawRequest<People>(PEOPLE);
  expect(data.people).toEqual([{ __typename: "Person", id: "1", name: null }]);
  expect(errors?.[0]?.path).toEqual(["people", 0, "name"]);
});

it("a status other than 2xx arrives", async () => {
  new Plugin(() => ({ status: 503, contentType: "text/html", body: "<h1>Away</h1>" }));
  const problem = await rejectionOf(clientOf().request(PEOPLE));
  expect((problem as ClientError).response.status).toBe(503);
});

it("the body arrives byte for byte, so a custom parser can read big integers", async () => {
  new Plugin(() => BIG);
  let text = "";
  const jsonSerializer = {
    stringify: JSON.stringify,
    parse: (body: string): unknown => {
      text = body;
      return JSON.parse(body.replace(/:(\d{16,})/g, ':"$1"'));
    },
  };
  const { people } = await clientOf({ jsonSerializer }).request<People>(PEOPLE);
  expect(text).toBe(BIG);
  expect(people[0]?.id).toBe("9007199254740993");
});

it("a failed call rejects with the SessionError itself", async () => {
  await expectSessionErrors(() => rejectionOf(clientOf().request(PEOPLE)));
});

it("an aborted signal cancels the call", async () => {
  const plugin = new Plugin(() => NEVER);
  const abort = new AbortController();
  const asked = rejectionOf(clientOf().request({ document: PEOPLE, signal: abort.signal }));
  await plugin.expectCancelledBy(() => {
    abort.abort();
  });
  expect(await asked).toMatchObject({ name: "AbortError" });
});
