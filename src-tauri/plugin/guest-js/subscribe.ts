import { Channel } from "@tauri-apps/api/core";

import { call } from "./command.js";
import { SessionError } from "./error.js";
import { newId } from "./id.js";
import type { SessionErrorShape } from "./types.js";

/** A subscription as GraphQL clients make it: a document as text, its variables and its name. */
export interface SubscriptionRequest {
  query?: string | null | undefined;
  variables?: unknown;
  operationName?: string | null | undefined;
  extensions?: unknown;
}

/** Receives the events of a subscription. An observer of RxJS, Apollo Client or urql has this shape. */
export interface SubscriptionSink<Result = unknown> {
  /** One result, parsed; with `raw`, its JSON text as the server sent it. */
  next(result: Result): void;
  /** The subscription has failed. Nothing follows. */
  error(problem: SessionError): void;
  /** The server has ended the subscription. Nothing follows. */
  complete(): void;
  /** The server has accepted the subscription. */
  open?(): void;
  /** The connection is lost. The next try follows after this pause; `reconnected` follows when it succeeds. */
  lost?(retryAfterMs: number): void;
  /** Connected again. Events may be missing, and the server does not repeat them: refetch what depends on them. */
  reconnected?(): void;
}

/** Options of {@link subscribe}. */
export interface SubscribeOptions {
  /** The account whose session the subscription uses. Default: the window's own. */
  account?: string;
  /** The endpoint. Default: `graphql`. */
  endpoint?: string;
  /** Further request headers, of those that a page may set. */
  headers?: Record<string, string>;
  /** Ends the subscription when it aborts. The sink is not called again. */
  signal?: AbortSignal;
  /** Gives each result to the sink as text, for results whose numbers `JSON.parse` would round. Default: `false`. */
  raw?: boolean;
}

type Message =
  | { kind: "open" }
  | { kind: "next"; payload: string }
  | { kind: "lost"; retryAfterMs: number }
  | { kind: "reconnected" }
  | { kind: "complete" }
  | { kind: "failed"; error: SessionErrorShape };

/** Messages after which the page acknowledges: a quarter of the 64 that the application sends without it. */
const ACK_AFTER_MESSAGES = 16;

/** The same in UTF-16 units. One is at most three bytes, and the application sends 1 MiB without an acknowledgement. */
const ACK_AFTER_UNITS = 256 * 1024;

/**
 * Subscribes to events of the server with the session's current credentials. A lost connection is made again, and a
 * renewal interrupts nothing. Where the page is slower than the server, the application reads more slowly, so that no
 * memory fills up.
 *
 * @param request - query, variables, operation name and extensions
 * @param sink - receives the events; none of its functions is called before this function has returned
 * @param options - account, endpoint, headers, signal, and whether results stay text
 * @returns a function that ends the subscription; the sink is not called again
 * @throws nothing; the sink's `error` gets a {@link SessionError}: `invalid_request`, `signed_out`, `locked`,
 * `access_denied`, `too_large`, `too_many_calls`. A lost connection is no error: it calls `lost`, then `reconnected`
 * @example
 * ```ts
 * // Apollo Client: a link for subscriptions, beside the HttpLink for the rest
 * const link = new ApolloLink(({ query, ...rest }) =>
 *   new Observable((observer) => subscribe({ query: print(query), ...rest }, observer)));
 *
 * // urql
 * subscriptionExchange({
 *   forwardSubscription: (request) => ({
 *     subscribe: (sink) => ({ unsubscribe: subscribe(request, sink) }),
 *   }),
 * });
 * ```
 */
export function subscribe<Result = unknown>(
  request: SubscriptionRequest,
  sink: SubscriptionSink<Result>,
  options: SubscribeOptions = {},
): () => void {
  const { signal } = options;
  if (signal?.aborted) return () => undefined;
  const subscriptionId = newId();
  let isOver = false;
  const end = (): void => {
    isOver = true;
    signal?.removeEventListener("abort", stop);
  };

  const acks = new Acks((count) => call("ack_events", { subscriptionId, count }));
  const messages = new Channel<Message>((message) => {
    if (isOver) return;
    try {
      if (message.kind === "complete" || message.kind === "failed") end();
      pass(message, sink, options.raw === true);
    } finally {
      // Also where the sink threw: one result must not stop the stream.
      acks.add(message.kind === "next" ? message.payload.length : 0, isOver);
    }
  });
  const { query, variables, operationName, extensions } = request;
  const started = call("subscribe", {
    subscriptionId,
    endpoint: options.endpoint ?? "graphql",
    headers: options.headers ?? {},
    body: JSON.stringify({ query, variables, operationName, extensions }),
    account: options.account,
    messages,
  });
  started.catch((problem: unknown) => {
    if (isOver) return;
    end();
    sink.error(SessionError.from(problem));
  });

  function stop(): void {
    if (isOver) return;
    end();
    // Only after the start has been answered: of two commands, the second may arrive first.
    started.then(() => call("cancel", { requestId: subscriptionId })).catch(() => undefined);
  }
  signal?.addEventListener("abort", stop, { once: true });
  return stop;
}

function pass<Result>(message: Message, sink: SubscriptionSink<Result>, raw: boolean): void {
  switch (message.kind) {
    case "open":
      sink.open?.();
      break;
    case "next":
      sink.next((raw ? message.payload : JSON.parse(message.payload)) as Result);
      break;
    case "lost":
      sink.lost?.(message.retryAfterMs);
      break;
    case "reconnected":
      sink.reconnected?.();
      break;
    case "complete":
      sink.complete();
      break;
    case "failed":
      sink.error(SessionError.from(message.error));
      break;
  }
}

/** Acknowledges messages, some at a time: the application sends no more while too many are not acknowledged. */
class Acks {
  #count = 0;
  #unsentCount = 0;
  #unsentUnits = 0;
  readonly #send: (count: number) => Promise<unknown>;

  /** `send` gets the number of all messages so far, so that a call that is lost or overtaken does no harm. */
  constructor(send: (count: number) => Promise<unknown>) {
    this.#send = send;
  }

  /** Counts one message of this length. The last one of a subscription needs no acknowledgement. */
  add(units: number, isLast: boolean): void {
    this.#count += 1;
    this.#unsentCount += 1;
    this.#unsentUnits += units;
    if (isLast || (this.#unsentCount < ACK_AFTER_MESSAGES && this.#unsentUnits < ACK_AFTER_UNITS)) return;
    this.#unsentCount = 0;
    this.#unsentUnits = 0;
    this.#send(this.#count).catch(() => undefined);
  }
}
