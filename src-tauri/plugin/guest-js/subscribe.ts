import { Channel } from "@tauri-apps/api/core";

import { call } from "./command.js";
import { SessionError } from "./error.js";
import { newId } from "./id.js";
import type { SessionErrorShape } from "./types.js";

/** A subscription as GraphQL clients make it: a document as text, and what goes with it. */
export interface SubscriptionRequest {
  query?: string | null | undefined;
  variables?: unknown;
  operationName?: string | null | undefined;
  extensions?: unknown;
}

/** Who hears of a subscription. It has the shape of an observer, so that one of RxJS, Apollo or urql fits as it is. */
export interface SubscriptionSink<Result = unknown> {
  /** One result, parsed; with `raw`, its JSON text as the server sent it. */
  next(result: Result): void;
  /** The subscription is over by an error. Nothing follows. */
  error(problem: SessionError): void;
  /** The server has ended the subscription. Nothing follows. */
  complete(): void;
  /** The server has accepted the subscription. */
  open?(): void;
  /** The connection is lost; it is made again after this pause. A screen need not show it: `gap` follows. */
  lost?(retryAfterMs: number): void;
  /** Connected again. Events may be missing, and the server does not repeat them: refetch what depends on them. */
  gap?(): void;
}

/** What {@link subscribe} may be told. */
export interface SubscribeOptions {
  /** The account whose session carries the subscription; without it, the window's own. */
  account?: string;
  /** The endpoint; without it, `graphql`. */
  endpoint?: string;
  /** Further request headers, of those that a page may set. */
  headers?: Record<string, string>;
  /** Ends the subscription when it is aborted, without another word to the sink. */
  signal?: AbortSignal;
  /** Hands on each result as text, for results whose numbers `JSON.parse` would round. */
  raw?: boolean;
}

type Message =
  | { kind: "open" }
  | { kind: "next"; payload: string }
  | { kind: "lost"; retryAfterMs: number }
  | { kind: "reopened" }
  | { kind: "complete" }
  | { kind: "failed"; error: SessionErrorShape };

/** Messages that may arrive before the application is told: a quarter of those that it lets be under way. */
const TELL_AFTER_MESSAGES = 16;

/** The same in UTF-16 units: they are at most three bytes each, and the application lets 1 MiB be under way. */
const TELL_AFTER_UNITS = 256 * 1024;

/**
 * Subscribes to events of the server, over the session: with the current credentials, connected again after a loss,
 * never cut by a renewal. The page is slow? Then the server is held back, and nothing piles up.
 *
 * @param request - query, variables, operation name and extensions
 * @param sink - who hears of it; nothing is called before this function has returned
 * @param options - account, endpoint, headers, signal, and whether results stay text
 * @returns a function that ends the subscription; after it, the sink hears nothing more
 * @throws nothing; the sink's `error` gets a {@link SessionError}: `invalid_request`, `signed_out`, `locked`,
 * `access_denied`, `too_large`, `too_many_calls`. A server that is away is no error: the sink's `lost` and `gap` tell
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

  const receiving = new Receipts((count) => call("received_events", { subscriptionId, count }));
  const messages = new Channel<Message>((message) => {
    if (isOver) return;
    try {
      if (message.kind === "complete" || message.kind === "failed") end();
      pass(message, sink, options.raw === true);
    } finally {
      // Also where the sink threw: the stream is not to stop because of one result. What is over needs no more.
      receiving.add(message.kind === "next" ? message.payload.length : 0, isOver);
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
    // Not before it has started: commands may overtake each other.
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
    case "reopened":
      sink.gap?.();
      break;
    case "complete":
      sink.complete();
      break;
    case "failed":
      sink.error(SessionError.from(message.error));
      break;
  }
}

/** Tells the application what has arrived, now and then: it reads on only while not too much is under way. */
class Receipts {
  #count = 0;
  #untold = 0;
  #units = 0;
  readonly #tell: (count: number) => Promise<unknown>;

  constructor(tell: (count: number) => Promise<unknown>) {
    this.#tell = tell;
  }

  add(units: number, isLast: boolean): void {
    this.#count += 1;
    this.#untold += 1;
    this.#units += units;
    if (isLast || (this.#untold < TELL_AFTER_MESSAGES && this.#units < TELL_AFTER_UNITS)) return;
    this.#untold = 0;
    this.#units = 0;
    // The whole number, so that one that is lost or overtaken does no harm.
    this.#tell(this.#count).catch(() => undefined);
  }
}
