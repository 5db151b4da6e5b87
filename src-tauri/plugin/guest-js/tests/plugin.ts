import { expect, vi } from "vitest";

import { SessionError } from "../index.js";
import type { Code } from "../index.js";
import { framed, Host } from "./host.js";
import type { Invoke } from "./host.js";

/** One GraphQL call as the plugin read it. */
export interface Call {
  requestId: string;
  endpoint: string;
  account?: string;
  deadlineMs?: number;
  headers: Record<string, string>;
  /** The body's text, as it goes to the server. */
  body: string;
  /** The body, parsed. */
  operation: Operation;
}

/** A GraphQL request over HTTP. */
export interface Operation {
  query?: string;
  operationName?: string;
  variables?: Record<string, unknown>;
}

/** What a server answers: the text of a JSON body, or a whole reply. */
export type Answer = string | { status: number; contentType: string; body: string };
type Serving = (call: Call) => Answer | Promise<Answer>;

/** The fields that the plugin reads; others it refuses. */
const METADATA = new Set(["requestId", "endpoint", "account", "deadlineMs", "headers", "received"]);

/** The request headers that the session allows. */
const HEADERS =
  /^(content-type|accept|accept-language|apollo-require-preflight|(x-(?!forwarded)|graphql-|apollographql-).*)$/;

/** Longest request id that the plugin accepts. */
const REQUEST_ID_MAX = 128;

/**
 * The `execute` and `cancel` of the plugin behind a fake of Tauri: raw bytes in both directions, one run for each id,
 * and error codes of the closed list. It refuses what the plugin refuses.
 */
export class Plugin {
  readonly host = new Host();
  /** The calls that ran, in their order. */
  readonly calls: Call[] = [];
  /** Ids of the calls that were cancelled. */
  readonly cancelled: string[] = [];
  readonly #running = new Map<string, { outcome: Promise<ArrayBuffer>; cancel: () => void }>();
  readonly #delivered = new Set<string>();

  /** Starts with a server that answers each call by `serve`; what that throws is the call's rejection. */
  constructor(serve: Serving) {
    this.host.on("execute", (invoke) => this.#execute(invoke, serve));
    this.host.on("cancel", ({ args }) => {
      const { requestId } = args as { requestId: string };
      this.cancelled.push(requestId);
      this.#running.get(requestId)?.cancel();
      return null;
    });
  }

  /** The last call that ran. */
  get lastCall(): Call {
    const call = this.calls.at(-1);
    if (!call) throw new Error("nothing was called");
    return call;
  }

  /** Waits for a call, lets its caller leave, and expects that this cancels the call. */
  async expectCancelledBy(leave: () => void): Promise<void> {
    await vi.waitUntil(() => this.calls.length === 1);
    leave();
    await vi.waitUntil(() => this.cancelled.length === 1);
    expect(this.cancelled).toEqual([this.lastCall.requestId]);
  }

  #execute(invoke: Invoke, serve: Serving): Promise<ArrayBuffer> {
    const { received = [], ...call } = readCall(invoke);
    for (const id of received) if (this.#running.delete(id)) this.#delivered.add(id);
    const { requestId } = call;
    if (this.#delivered.has(requestId)) throw refusal("already_ran", "This call has run.");
    const known = this.#running.get(requestId);
    if (known) return known.outcome;

    this.calls.push(call);
    let cancel: () => void = () => undefined;
    const cancelled = new Promise<never>((_, reject) => {
      cancel = () => {
        reject(refusal("cancelled", "The call was cancelled."));
      };
    });
    cancelled.catch(() => undefined);
    const outcome = Promise.race([Promise.resolve().then(() => serve(call)), cancelled]).then(frame);
    this.#running.set(requestId, { outcome, cancel });
    return outcome;
  }
}

/** The rejection of a command: a plain object. Its type is `Error` so that it may be thrown. */
export function refusal(code: Code, message: string, retryAfterMs?: number): Error {
  return Object.assign(Object.create(null) as Error, {
    code,
    message,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** An answer that the server withholds. */
export const NEVER = new Promise<Answer>(() => undefined);

/** Expects that what the plugin refuses comes out as it is: `ask` makes a call, and gives its failure. */
export async function expectSessionErrors(ask: () => Promise<unknown>): Promise<void> {
  for (const [code, message, retryAfterMs] of [
    ["unreachable", "Try later.", 1_200],
    ["signed_out", "Sign in again.", undefined],
  ] as const) {
    const plugin = new Plugin(() => {
      throw refusal(code, message, retryAfterMs);
    });
    const problem = await ask();
    expect(problem).toBeInstanceOf(SessionError);
    const { code: shown, message: sentence, retryAfterMs: pause } = problem as SessionError;
    expect([shown, sentence, pause]).toEqual([code, message, retryAfterMs]);
    expect(plugin.calls).toHaveLength(1);
  }
}

function frame(answer: Answer): ArrayBuffer {
  const { body, ...head } =
    typeof answer === "string" ? { status: 200, contentType: "application/json; charset=utf-8", body: answer } : answer;
  return framed(head, body);
}

function readCall({ args, headers }: Invoke): Call & { received?: string[] } {
  const metadata = JSON.parse(headers["x-graphql-session"] ?? "{}") as Omit<Call, "body" | "operation">;
  const unknown = Object.keys(metadata).find((name) => !METADATA.has(name));
  if (unknown !== undefined) throw refusal("invalid_request", `The field ${unknown} is unknown.`);
  if (!metadata.requestId || metadata.requestId.length > REQUEST_ID_MAX)
    throw refusal("invalid_request", "The request id is wrong.");
  const forbidden = Object.keys(metadata.headers).find((name) => !HEADERS.test(name));
  if (forbidden !== undefined) throw refusal("invalid_request", `The header ${forbidden} is not allowed here.`);
  if (!(args instanceof Uint8Array)) throw refusal("invalid_request", "The body must be bytes.");
  const body = new TextDecoder().decode(args);
  return { ...metadata, body, operation: JSON.parse(body) as Operation };
}
