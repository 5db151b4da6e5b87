import { beforeEach, describe, expect, it, vi } from "vitest";

import { SessionError, subscribe } from "../index.js";
import type { SubscribeOptions, SubscriptionSink } from "../index.js";
import { Host, settle } from "./host.js";

interface Sent {
  subscriptionId: string;
  endpoint: string;
  headers: Record<string, string>;
  body: string;
  account?: string;
  messages: unknown;
}

const request = { query: "subscription S($a: Int) { s(a: $a) }", variables: { a: 1 }, operationName: "S" };

let host: Host;
let heard: unknown[][];
let sink: Required<SubscriptionSink>;

beforeEach(() => {
  host = new Host();
  for (const command of ["subscribe", "ack_events", "cancel"]) host.on(command, () => null);
  heard = [];
  const hear =
    (what: string) =>
    (...facts: unknown[]): void =>
      void heard.push([what, ...facts]);
  sink = {
    next: hear("next"),
    error: hear("error"),
    complete: hear("complete"),
    open: hear("open"),
    lost: hear("lost"),
    reconnected: hear("reconnected"),
  };
});

function sent(number = -1): Sent {
  return host.asked("subscribe").at(number)?.args as unknown as Sent;
}

/** A subscription, and a function that sends it messages. */
function start(options?: SubscribeOptions): { stop: () => void; tell: (...messages: unknown[]) => void } {
  const stop = subscribe(request, sink, options);
  const channel = JSON.stringify(sent().messages).replaceAll('"', "");
  let index = 0;
  const tell = (...messages: unknown[]): void => {
    for (const message of messages) host.send(channel, index++, message);
  };
  return { stop, tell };
}

const next = (payload: string): unknown => ({ kind: "next", payload });

describe("what is sent", () => {
  it("is JSON for the endpoint graphql, with an id of its own", () => {
    start();
    start();
    expect(JSON.parse(sent().body)).toEqual(request);
    expect(sent()).toMatchObject({ endpoint: "graphql", headers: {} });
    expect(sent(0).subscriptionId).toMatch(/^[0-9a-f]{32}$/);
    expect(sent(0).subscriptionId).not.toBe(sent(1).subscriptionId);
  });

  it("names the account, the endpoint and headers where they are given", () => {
    start({ account: "work", endpoint: "metadata", headers: { "x-client": "test" } });
    expect(sent()).toMatchObject({ account: "work", endpoint: "metadata", headers: { "x-client": "test" } });
  });
});

describe("what the sink gets", () => {
  it("is each message in order, with results parsed", () => {
    const { tell } = start();
    tell({ kind: "open" }, next('{"data":{"s":1}}'), { kind: "lost", retryAfterMs: 700 }, { kind: "reconnected" });
    tell({ kind: "complete" });
    expect(heard).toEqual([["open"], ["next", { data: { s: 1 } }], ["lost", 700], ["reconnected"], ["complete"]]);
  });

  it("is text where raw is set", () => {
    const { tell } = start({ raw: true });
    tell(next('{"data":{"s":12345678901234567890123}}'));
    expect(heard).toEqual([["next", '{"data":{"s":12345678901234567890123}}']]);
  });

  it("does not need the optional functions of a sink", () => {
    const observer = { next: vi.fn(), error: vi.fn(), complete: vi.fn() };
    sink = observer as unknown as Required<SubscriptionSink>;
    const { tell } = start();
    tell({ kind: "open" }, { kind: "lost", retryAfterMs: 1 }, { kind: "reconnected" }, next("1"), { kind: "complete" });
    expect(observer.next.mock.calls).toEqual([[1]]);
    expect(observer.complete).toHaveBeenCalledOnce();
  });

  it("is a SessionError for a failure, and nothing afterwards", () => {
    const { tell } = start();
    tell({ kind: "failed", error: { code: "signed_out", message: "You are signed out." } }, next("1"));
    expect(heard).toEqual([["error", expect.any(SessionError)]]);
    expect(heard[0]?.[1]).toMatchObject({ code: "signed_out" });
  });

  it("is a SessionError if the command rejects", async () => {
    host.rejects("subscribe", { code: "invalid_request", message: "Only a subscription can be subscribed to." });
    start();
    expect(heard).toEqual([]);
    await settle();
    expect(heard[0]?.[1]).toMatchObject({ name: "SessionError", code: "invalid_request" });
    expect(heard).toHaveLength(1);
  });
});

describe("stopping", () => {
  it("cancels it after it has started, and the sink is not called again", async () => {
    let hasStarted: (value: unknown) => void = () => undefined;
    host.on("subscribe", () => new Promise((resolve) => (hasStarted = resolve)));
    const { stop, tell } = start();
    stop();
    stop();
    tell(next("1"), { kind: "complete" });
    await settle();
    expect(host.count("cancel")).toBe(0);
    hasStarted(null);
    await settle();
    expect(host.asked("cancel").map(({ args }) => args)).toEqual([{ requestId: sent().subscriptionId }]);
    expect(heard).toEqual([]);
  });

  it("cancels nothing that is over", async () => {
    const { stop, tell } = start();
    tell({ kind: "complete" });
    stop();
    await settle();
    expect(host.count("cancel")).toBe(0);
  });

  it("follows a signal, before and after the start", async () => {
    const controller = new AbortController();
    start({ signal: controller.signal });
    controller.abort();
    await settle();
    expect(host.count("cancel")).toBe(1);
    subscribe(request, sink, { signal: controller.signal });
    expect(host.count("subscribe")).toBe(1);
    expect(heard).toEqual([]);
  });
});

describe("acknowledgements", () => {
  const counts = (): unknown[] => host.asked("ack_events").map(({ args }) => (args as { count: number }).count);

  it("follow every sixteen messages with the count of all messages", () => {
    const { tell } = start();
    tell({ kind: "open" });
    for (let number = 1; number < 40; number++) tell(next("1"));
    expect(counts()).toEqual([16, 32]);
    expect(host.asked("ack_events")[0]?.args).toMatchObject({ subscriptionId: sent().subscriptionId });
  });

  it("follow sooner where the results are long", () => {
    const { tell } = start({ raw: true });
    const long = "x".repeat(150 * 1024);
    tell(next(long), next(long), next(long), next(long));
    expect(counts()).toEqual([2, 4]);
  });

  it("cover a result that the sink could not take", async () => {
    const thrown = vi.fn();
    vi.stubGlobal("queueMicrotask", (report: () => void) => {
      thrown.mockImplementation(report);
    });
    const { tell } = start();
    tell(...Array.from({ length: 16 }, () => next("no JSON")));
    vi.unstubAllGlobals();
    await settle();
    expect(heard).toEqual([]);
    expect(thrown).toThrow(SyntaxError);
    expect(counts()).toEqual([16]);
  });
});
