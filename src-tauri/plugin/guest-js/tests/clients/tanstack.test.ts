import { MutationObserver, QueryClient, QueryObserver } from "@tanstack/query-core";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { createSessionFetch, SessionError } from "../../index.js";
import { NEVER, Plugin, refusal } from "../plugin.js";
import { ADA, BIG, PARTIAL, PEOPLE, REFUSED, RENAME, RENAMED } from "./people.js";
import type { People } from "./people.js";

/** Retries what failed because the server was unreachable, and nothing else. */
const retry = (failures: number, problem: Error): boolean =>
  problem instanceof SessionError && problem.code === "unreachable" && failures < 3;

/** The pause that the session asks for, in milliseconds. */
const retryDelay = (_: number, problem: Error): number =>
  (problem instanceof SessionError ? problem.retryAfterMs : undefined) ?? 1_000;

const sessionFetch = createSessionFetch();

/** TanStack Query has no GraphQL of its own: its users write this. */
async function request<Data>(query: string, variables: object, signal?: AbortSignal): Promise<Data> {
  const response = await sessionFetch("/graphql", {
    method: "POST",
    body: JSON.stringify({ query, variables }),
    ...(signal && { signal }),
  });
  const { data, errors } = (await response.json()) as { data?: Data; errors?: { message: string }[] };
  if (data === undefined || errors) throw new AggregateError(errors ?? [], errors?.[0]?.message);
  return data;
}

const queryKey = ["people"];
const people = {
  queryKey,
  queryFn: ({ signal }: { signal: AbortSignal }) => request<People>(PEOPLE, { first: 1 }, signal),
};

let client: QueryClient;

beforeEach(() => {
  // "always": WebKitGTK reports that it is offline when it is not, and queries would wait forever.
  const defaults = { networkMode: "always", retry, retryDelay } as const;
  client = new QueryClient({ defaultOptions: { queries: defaults, mutations: { networkMode: "always" } } });
});

afterEach(() => {
  client.clear();
  vi.useRealTimers();
});

it("a query is sent with its variables", async () => {
  const plugin = new Plugin(() => ADA);
  expect((await client.query(people)).people[0]?.name).toBe("Ada");
  expect(plugin.lastCall.operation.variables).toEqual({ first: 1 });
  expect(plugin.lastCall.headers).toEqual({ "content-type": "application/json" });
});

it("a mutation is sent with its variables", async () => {
  const plugin = new Plugin(() => RENAMED);
  const rename = new MutationObserver(client, { mutationFn: (name: string) => request(RENAME, { id: "1", name }) });
  expect(await rename.mutate("Ada L.")).toMatchObject({ rename: { name: "Ada L." } });
  expect(plugin.lastCall.operation.variables).toEqual({ id: "1", name: "Ada L." });
});

it.each([
  ["as a whole", REFUSED, "No such field"],
  ["with partial data", PARTIAL, "Not yours to read"],
])("a refusal %s is the error of its queryFn, and is not retried", async (_, body, message) => {
  const plugin = new Plugin(() => body);
  await expect(client.query(people)).rejects.toThrow(message);
  expect(plugin.calls).toHaveLength(1);
});

it("the body arrives byte for byte", async () => {
  new Plugin(() => BIG);
  const queryFn = async (): Promise<string> => (await sessionFetch("/graphql", { method: "POST", body: "{}" })).text();
  expect(await client.query({ queryKey, queryFn })).toBe(BIG);
});

it("an unreachable query is retried after the session's retryAfterMs", async () => {
  vi.useFakeTimers();
  let away = true;
  const plugin = new Plugin(() => {
    if (away) throw refusal("unreachable", "Try later.", 1_200);
    return ADA;
  });
  const asked = client.query(people);
  await vi.advanceTimersByTimeAsync(1_199);
  expect(plugin.calls).toHaveLength(1);
  away = false;
  await vi.advanceTimersByTimeAsync(1);
  expect((await asked).people[0]?.name).toBe("Ada");
  expect(plugin.calls).toHaveLength(2);
  expect(plugin.calls[0]?.requestId).not.toBe(plugin.calls[1]?.requestId);
});

it("a query without a session rejects with the SessionError, without a retry", async () => {
  vi.useFakeTimers();
  const plugin = new Plugin(() => {
    throw refusal("signed_out", "Sign in again.");
  });
  const problem = await client.query(people).catch((reason: unknown) => reason);
  expect(problem).toBeInstanceOf(SessionError);
  expect(problem).toMatchObject({ code: "signed_out", message: "Sign in again." });
  await vi.runAllTimersAsync();
  expect(plugin.calls).toHaveLength(1);
});

it("observers get the SessionError with its code", async () => {
  vi.useFakeTimers();
  new Plugin(() => {
    throw refusal("unreachable", "Try later.", 1_200);
  });
  const observer = new QueryObserver(client, people);
  const leave = observer.subscribe(() => undefined);
  await vi.runAllTimersAsync();
  expect(observer.getCurrentResult().error).toMatchObject({ code: "unreachable", retryAfterMs: 1_200 });
  leave();
});

it("a cancelled query cancels the call", async () => {
  const plugin = new Plugin(() => NEVER);
  const asked = client.query(people).catch(() => "cancelled");
  await plugin.expectCancelledBy(() => void client.cancelQueries({ queryKey }));
  expect(await asked).toBe("cancelled");
});

it("the call is cancelled when the last observer leaves", async () => {
  const plugin = new Plugin(() => NEVER);
  const leave = new QueryObserver(client, people).subscribe(() => undefined);
  await plugin.expectCancelledBy(leave);
});
