import { cacheExchange, Client, fetchExchange } from "@urql/core";
import type { ClientOptions, CombinedError, OperationResult } from "@urql/core";
import { expect, it, vi } from "vitest";

import { createSessionFetch, SessionError } from "../../index.js";
import { gate, Plugin, refusal } from "../plugin.js";
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

it("sends a short query by GET, which goes to the server as a POST", async () => {
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

it("sends a query that no address holds by POST", async () => {
  const plugin = new Plugin(() => ADA);
  const asked = vi.fn(createSessionFetch());
  const padding = "x".repeat(2_048);
  await ask(clientOf({ fetch: asked }), { padding });
  expect(asked.mock.calls[0]?.[1]?.method).toBe("POST");
  expect(plugin.lastCall.operation.variables).toEqual({ padding });
});

it("sends a query by GET with characters outside ASCII whole", async () => {
  const plugin = new Plugin(() => ADA);
  await ask(clientOf(), { name: "Zoë & Ünal + 100 %" });
  expect(plugin.lastCall.operation.variables).toEqual({ name: "Zoë & Ünal + 100 %" });
});

it("mutates, and asks again for what it changed", async () => {
  const plugin = new Plugin(({ operation }) => (operation.operationName === "Rename" ? RENAMED : ADA));
  const client = clientOf();
  await ask(client);
  const { data } = await client.mutation<{ rename: { name: string } }>(RENAME, { id: "1", name: "Ada L." }).toPromise();
  expect(data?.rename.name).toBe("Ada L.");
  await ask(client);
  expect(plugin.calls.map(({ operation }) => operation.operationName)).toEqual(["People", "Rename", "People"]);
});

it("sends two identical mutations as two calls", async () => {
  const plugin = new Plugin(() => RENAMED);
  const client = clientOf();
  const rename = (): Promise<OperationResult> => client.mutation(RENAME, { id: "1", name: "Ada L." }).toPromise();
  await Promise.all([rename(), rename()]);
  expect(new Set(plugin.calls.map(({ requestId }) => requestId)).size).toBe(2);
});

it("shows GraphQL errors as those of any server", async () => {
  new Plugin(() => REFUSED);
  const { error } = await ask(clientOf());
  expect(error?.networkError).toBeUndefined();
  expect(error?.graphQLErrors[0]).toMatchObject({
    message: "No such field",
    extensions: { code: "GRAPHQL_VALIDATION_FAILED" },
  });
});

it("shows partial data beside its errors", async () => {
  new Plugin(() => PARTIAL);
  const { data, error } = await ask(clientOf());
  expect(data?.people).toEqual([{ __typename: "Person", id: "1", name: null }]);
  expect(error?.graphQLErrors[0]?.path).toEqual(["people", 0, "name"]);
});

it("shows a status that is not 2xx with its response", async () => {
  new Plugin(() => ({ status: 503, contentType: "text/html", body: "<h1>Away</h1>" }));
  const { error } = await ask(clientOf());
  expect((error?.response as Response).status).toBe(503);
  expect(error?.networkError?.message).toBe("<h1>Away</h1>");
});

it("gets the body to the byte", async () => {
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

it("carries the SessionError as the networkError of its own, with its code", async () => {
  const refusals = [refusal("unreachable", "Try later.", 1_200), refusal("signed_out", "Sign in again.")];
  new Plugin(() => {
    throw refusals.shift() ?? new Error("two calls");
  });
  const client = clientOf({ exchanges: [fetchExchange] });
  const { networkError: unreachable } = (await ask(client)).error as CombinedError;
  expect(unreachable).toBeInstanceOf(SessionError);
  expect(unreachable).toMatchObject({ code: "unreachable", message: "Try later.", retryAfterMs: 1_200 });
  const { networkError: signedOut } = (await ask(client)).error as CombinedError;
  expect(signedOut).toBeInstanceOf(SessionError);
  expect(signedOut).toMatchObject({ code: "signed_out", message: "Sign in again." });
});

it("takes the call back when the last subscriber of a query leaves", async () => {
  const { answer } = gate(ADA);
  const plugin = new Plugin(() => answer);
  const watching = clientOf()
    .query(PEOPLE, {})
    .subscribe(() => undefined);
  await vi.waitUntil(() => plugin.calls.length === 1);
  watching.unsubscribe();
  await vi.waitUntil(() => plugin.cancelled.length === 1);
  expect(plugin.cancelled).toEqual([plugin.lastCall.requestId]);
});
