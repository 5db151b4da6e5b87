import { ApolloClient, CombinedGraphQLErrors, gql, InMemoryCache } from "@apollo/client";
import { Client, fetchExchange } from "@urql/core";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { sessionLink } from "../../examples/apollo.js";
import { sessionStreams } from "../../examples/urql.js";
import { SessionError } from "../../index.js";
import { Plugin } from "../plugin.js";
import { ADA, PEOPLE } from "./people.js";

const RENAMES = /* GraphQL */ `
  subscription Renames($of: ID!) {
    renamed(id: $of) {
      id
      name
    }
  }
`;

const ADA_L = '{"data":{"renamed":{"__typename":"Person","id":"1","name":"Ada L."}}}';
const ADA_K = '{"data":{"renamed":{"__typename":"Person","id":"1","name":"Ada K."}}}';
const FORBIDDEN = '{"errors":[{"message":"Not yours to hear","extensions":{"code":"FORBIDDEN"}}]}';
const SIGNED_OUT = { kind: "failed", error: { code: "signed_out", message: "Sign in again." } };

let plugin: Plugin;
let onReconnected: () => void;

beforeEach(() => {
  plugin = new Plugin(() => ADA);
  plugin.host.on("subscribe", () => null).on("ack_events", () => null);
  onReconnected = vi.fn();
});

/** Waits for the subscription's start, and gives its request and a function that sends its messages. */
async function subscribed(): Promise<{ id: string; request: unknown; tell: (...messages: unknown[]) => void }> {
  await vi.waitUntil(() => plugin.host.count("subscribe") === 1);
  const { args } = plugin.host.asked("subscribe")[0] ?? {};
  const { subscriptionId, body, messages } = args as unknown as {
    subscriptionId: string;
    body: string;
    messages: object;
  };
  const channel = JSON.stringify(messages).replaceAll('"', "");
  let index = 0;
  return {
    id: subscriptionId,
    request: JSON.parse(body) as unknown,
    tell: (...told) => {
      for (const message of told) plugin.host.send(channel, index++, message);
    },
  };
}

const next = (payload: string): unknown => ({ kind: "next", payload });
const cancelled = (): string[] => plugin.cancelled;

/** What a client's listener got so far, and how it leaves. */
interface Listening<Result> {
  heard: Result[];
  leave: () => void;
}

interface ApolloResult {
  data?: unknown;
  error?: unknown;
}

function listenWithApollo(): Listening<ApolloResult> & { isComplete: () => boolean; client: ApolloClient } {
  const client = new ApolloClient({
    link: sessionLink(onReconnected),
    cache: new InMemoryCache(),
    // The devtools need a browser.
    devtools: { enabled: false },
  });
  const heard: ApolloResult[] = [];
  let isComplete = false;
  const listening = client.subscribe({ query: gql(RENAMES), variables: { of: "1" } }).subscribe({
    next: (result) => heard.push(result),
    complete: () => (isComplete = true),
  });
  const leave = (): void => {
    listening.unsubscribe();
  };
  return { heard, isComplete: () => isComplete, leave, client };
}

interface UrqlResult {
  data?: unknown;
  hasNext: boolean;
  error?: { networkError?: Error; graphQLErrors: { message: string }[] } | undefined;
}

function listenWithUrql(): Listening<UrqlResult> {
  const client = new Client({ url: "/graphql", exchanges: [sessionStreams(onReconnected), fetchExchange] });
  const heard: UrqlResult[] = [];
  const listening = client.subscription(RENAMES, { of: "1" }).subscribe((result) => heard.push(result as UrqlResult));
  const leave = (): void => {
    listening.unsubscribe();
  };
  return { heard, leave };
}

describe.each<[string, () => Listening<{ data?: unknown }>]>([
  ["Apollo Client", listenWithApollo],
  ["urql", listenWithUrql],
])("%s", (_, listen) => {
  it("receives each result of a subscription", async () => {
    const { heard } = listen();
    const { request, tell } = await subscribed();
    expect(request).toMatchObject({ operationName: "Renames", variables: { of: "1" } });
    expect((request as { query: string }).query).toContain("subscription Renames($of: ID!)");
    tell({ kind: "open" }, next(ADA_L), next(ADA_K));
    expect(heard.map(({ data }) => data)).toMatchObject([
      { renamed: { name: "Ada L." } },
      { renamed: { name: "Ada K." } },
    ]);
  });

  it("continues after a lost connection, and reports it as reconnected", async () => {
    const { heard } = listen();
    const { tell } = await subscribed();
    tell({ kind: "open" }, { kind: "lost", retryAfterMs: 100 });
    expect(onReconnected).not.toHaveBeenCalled();
    tell({ kind: "reconnected" }, next(ADA_L));
    expect(onReconnected).toHaveBeenCalledOnce();
    expect(heard).toHaveLength(1);
  });

  it("ends the subscription when its last subscriber leaves", async () => {
    const { leave } = listen();
    const { id } = await subscribed();
    leave();
    await vi.waitUntil(() => cancelled().length === 1);
    expect(cancelled()).toEqual([id]);
  });
});

describe("Apollo Client", () => {
  it("completes at the end of the stream, and not before", async () => {
    const { isComplete } = listenWithApollo();
    const { tell } = await subscribed();
    tell({ kind: "open" }, next(ADA_L));
    expect(isComplete()).toBe(false);
    tell({ kind: "complete" });
    await vi.waitUntil(isComplete);
  });

  it("passes on GraphQL errors as usual, and the session's error itself", async () => {
    const { heard } = listenWithApollo();
    const { tell } = await subscribed();
    tell(next(FORBIDDEN), SIGNED_OUT);
    await vi.waitUntil(() => heard.length === 2);
    expect(CombinedGraphQLErrors.is(heard[0]?.error)).toBe(true);
    expect(heard[1]?.error).toBeInstanceOf(SessionError);
    expect(heard[1]?.error).toMatchObject({ code: "signed_out" });
  });

  it("sends its queries as calls", async () => {
    const { client } = listenWithApollo();
    expect((await client.query({ query: gql(PEOPLE) })).data).toMatchObject({ people: [{ name: "Ada" }] });
    expect(plugin.calls).toHaveLength(1);
  });
});

describe("urql", () => {
  it("reports the end by the last result once more; the end cancels nothing", async () => {
    const { heard } = listenWithUrql();
    const { tell } = await subscribed();
    tell({ kind: "open" }, next(ADA_L), next(ADA_K), { kind: "complete" }, next(ADA_L));
    expect(heard.map(({ hasNext }) => hasNext)).toEqual([true, true, false]);
    expect(heard.at(-1)?.data).toMatchObject({ renamed: { name: "Ada K." } });
    expect(cancelled()).toEqual([]);
  });

  it("passes on GraphQL errors as usual", async () => {
    const { heard } = listenWithUrql();
    const { tell } = await subscribed();
    tell(next(FORBIDDEN));
    expect(heard[0]?.error?.graphQLErrors[0]?.message).toBe("Not yours to hear");
  });

  it("has the session's error as its networkError", async () => {
    const { heard } = listenWithUrql();
    const { tell } = await subscribed();
    tell(SIGNED_OUT);
    expect(heard[0]?.error?.networkError).toBeInstanceOf(SessionError);
    expect(heard[0]?.error?.networkError).toMatchObject({ code: "signed_out" });
  });
});
