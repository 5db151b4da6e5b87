import { cacheExchange, Client, fetchExchange } from "@urql/core";
import type { ClientOptions, OperationResult } from "@urql/core";
import { expect, it, vi } from "vitest";

import { createSessionFetch } from "../../index.js";
import { expectSessionErrors, NEVER, Plugin } from "../plugin.js";
import { ADA, BIG, PARTIAL, PEOPLE, REFUSED, RENAME, RENAMED } from "./people.js";
import type { People } from "./people.js";

function clientOf(options: Partial<ClientOptions> = {}): Client {
  return new Client({
    url: "/graphql",
    fetch: createSessionFetch(),
    exchanges: [cacheExchange, fetchExchange],
    ...options,
  });
}

function ask(client: Client, variables = {}): Promise<OperationResult<People>> {
  return client.query<People>(PEOPLE, variables).toPromise();
}

it("a short query by GET is sent as a POST", async () => {
  const plugin = new Plugin(() => ADA);
  const asked = vi.fn(createSessionFetch());
  const { data } = await ask(clientOf({ fetch: asked }), { first: 1 });
  expect(asked.mock.calls[0]?.[1]?.method).toBe("GET");
  expect(data?.people[0]?.name).toBe("Ada");
  expect(plugin.lastCall.endpoint).toBe("graphql");
  expect(plugin.lastCall.headers["content-type"]).toBe("application/json");
  expect(plugin.lastCall.operation).toMatchObject({ operationName: "People", variables: { first: 1 } });
  expect(plugin.lastCall.operation.query).toContain("query People($first: Int)");
});

it("a query too long for an address is sent as a POST", async () => {
  const plugin = new Plugin(() => ADA);
  const asked = vi.fn(createSessionFetch());
  const padding = "x".repeat(2_048);
  await ask(clientOf({ fetch: asked }), { padding });
  expect(asked.mock.calls[0]?.[1]?.method).toBe("POST");
  expect(plugin.lastCall.operation.variables).toEqual({ padding });
});

it("a query by GET keeps characters outside ASCII", async () => {
  const plugin = new Plugin(() => ADA);
  await ask(clientOf(), { name: "Zoë & Ünal + 100 %" });
  expect(plugin.lastCall.operation.variables).toEqual({ name: "Zoë & Ünal + 100 %" });
});

it("a mutation refetches what it changed", async () => {
  const plugin = new Plugin(({ operation }) => (operation.operationName === "Rename" ? RENAMED : ADA));
  const client = clientOf();
  await ask(client);
  const { data } = await client.mutation<{ rename: { name: string } }>(RENAME, { id: "1", name: "Ada L." }).toPromise();
  expect(data?.rename.name).toBe("Ada L.");
  await ask(client);
  expect(plugin.calls.map(({ operation }) => operation.operationName)).toEqual(["People", "Rename", "People"]);
});

it("two identical mutations are two calls", async () => {
  const plugin = new Plugin(() => RENAMED);
  const client = clientOf();
  const rename = (): Promise<OperationResult> => client.mutation(RENAME, { id: "1", name: "Ada L." }).toPromise();
  await Promise.all([rename(), rename()]);
  expect(new Set(plugin.calls.map(({ requestId }) => requestId)).size).toBe(2);
});

it("GraphQL errors arrive as from any server", async () => {
  new Plugin(() => REFUSED);
  const { error } = await ask(clientOf());
  expect(error?.networkError).toBeUndefined();
  expect(error?.graphQLErrors[0]).toMatchObject({
    message: "No such field",
    extensions: { code: "GRAPHQL_VALIDATION_FAILED" },
  });
});

it("partial data arrives beside its errors", async () => {
  new Plugin(() => PARTIAL);
  const { data, error } = await ask(clientOf());
  expect(data?.people).toEqual([{ __typename: "Person", id: "1", name: null }]);
  expect(error?.graphQLErrors[0]?.path).toEqual(["people", 0, "name"]);
});

it("a status other than 2xx arrives with its response", async () => {
  new Plugin(() => ({ status: 503, contentType: "text/html", body: "<h1>Away</h1>" }));
  const { error } = await ask(clientOf());
  expect((error?.response as Response).status).toBe(503);
  expect(error?.networkError?.message).toBe("<h1>Away</h1>");
});

it("the body arrives byte for byte", async () => {
  new Plugin(() => BIG);
  let text = "";
  const sessionFetch = createSessionFetch();
  await ask(
    clientOf({
      fetch: async (...call) => {
        const response = await sessionFetch(...call);
        text = await response.clone().text();
        return response;
      },
    }),
  );
  expect(text).toBe(BIG);
});

it("a failed call has the SessionError as its networkError", async () => {
  const client = clientOf({ exchanges: [fetchExchange] });
  await expectSessionErrors(async () => (await ask(client)).error?.networkError);
});

it("the call is cancelled when the last subscriber of a query leaves", async () => {
  const plugin = new Plugin(() => NEVER);
  const watching = clientOf()
    .query(PEOPLE, {})
    .subscribe(() => undefined);
  await plugin.expectCancelledBy(() => {
    watching.unsubscribe();
  });
});
