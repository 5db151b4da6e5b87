import { abortable, throwIfAborted } from "./aborting.js";
import { call } from "./command.js";
import { SessionError } from "./error.js";
import { encodeForm } from "./form.js";
import { encodeMetadata, METADATA_HEADER, readReply } from "./framing.js";
import type { RawReply } from "./framing.js";
import { newId } from "./id.js";
import { cancel, sendInSlices, SLICE_BYTES } from "./upload.js";

/** Options of {@link createSessionFetch}. */
export interface SessionFetchOptions {
  /** The account whose session sends the calls. Default: the window's own. */
  account?: string;
  /** The endpoint of every call, such as `graphql`. Default: the last segment of each call's path. */
  endpoint?: string;
  /** How long one call may take, with renewal and replay, in milliseconds. Default: the session's `callTimeoutMs`. */
  deadlineMs?: number;
}

/** Most ids of received replies that one call reports. They are in a header, 35 bytes each. */
const RECEIVED_PER_CALL = 64;

/** Ids of calls whose replies arrived. The next call reports them, and the application drops its copies. */
const received: string[] = [];

/** Statuses for which `Response` allows no body. */
const WITHOUT_BODY = new Set([204, 205, 304]);

/**
 * Creates a function with the signature of `fetch` that sends GraphQL requests through the session. Apollo Client,
 * urql, graphql-request and other clients use it unchanged.
 *
 * The page names an endpoint, never a host: `/graphql`, `graphql` and an address of the page's own origin all mean the
 * endpoint `graphql`; an address of another origin is refused. Every call has an id, so that a mutation runs once even
 * if the page reloads meanwhile. GraphQL errors are part of the reply, as with any other `fetch`; a failed renewal, or
 * a session that ended, rejects with a {@link SessionError}.
 *
 * An upload is a `FormData` in the GraphQL multipart request form, given as `body`: WebKit cannot read one inside a
 * `Request`. It may have 25 MiB of files. The application gets a body of more than 1 MiB in slices with hashes, and
 * sends it to the server as a whole: once, and once more if the access token was refused.
 *
 * @param options - account, endpoint and deadline, where the defaults do not fit
 * @returns a function for a GraphQL client
 * @throws nothing itself; the function it returns rejects with a {@link SessionError}, or with the signal's reason (an
 * `AbortError`) when the signal aborts
 * @example
 * ```ts
 * // Apollo Client
 * const link = new HttpLink({ uri: "/graphql", fetch: createSessionFetch() });
 *
 * // urql
 * const client = new Client({ url: "/graphql", fetch: createSessionFetch(), exchanges: [fetchExchange] });
 *
 * // graphql-request needs an absolute address: the page's own
 * const requests = new GraphQLClient(new URL("/graphql", location.href).href, { fetch: createSessionFetch() });
 * ```
 */
export function createSessionFetch(options: SessionFetchOptions = {}): typeof fetch {
  return async (input, init) => {
    const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
    throwIfAborted(signal);
    const outgoing = await readRequest(input, init, options.endpoint);
    throwIfAborted(signal);

    const requestId = newId();
    const isSliced = outgoing.body.byteLength > SLICE_BYTES;
    if (isSliced) {
      await sendInSlices(outgoing.body, requestId, signal);
      // The application has all of it. The page does not keep it until the server has answered.
      outgoing.body = new Uint8Array();
    }
    const metadata = {
      requestId,
      uploadId: isSliced ? requestId : undefined,
      received: received.splice(0, RECEIVED_PER_CALL),
      endpoint: outgoing.endpoint,
      account: options.account,
      deadlineMs: options.deadlineMs,
      headers: outgoing.headers,
    };
    const answer = call<RawReply>("execute", outgoing.body, {
      headers: { [METADATA_HEADER]: encodeMetadata(metadata) },
    });
    const { status, contentType, body } = readReply(
      await abortable(answer, signal, () => {
        cancel(requestId);
      }),
    );
    received.push(requestId);
    return new Response(WITHOUT_BODY.has(status) ? null : body, {
      status,
      headers: contentType === undefined ? {} : { "content-type": contentType },
    });
  };
}

interface Outgoing {
  endpoint: string;
  headers: Record<string, string>;
  body: Uint8Array<ArrayBuffer>;
}

async function readRequest(
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  endpoint: string | undefined,
): Promise<Outgoing> {
  const request = input instanceof Request ? input : undefined;
  const url = parseOwnUrl(input instanceof Request ? input.url : input);
  const method = (init?.method ?? request?.method ?? "GET").toUpperCase();
  const headers = new Headers(init?.headers ?? request?.headers);
  const outgoing = {
    endpoint: endpoint ?? endpointOf(url),
    headers: {} as Record<string, string>,
    body: new Uint8Array(),
  };
  if (method === "GET") {
    outgoing.body = new TextEncoder().encode(bodyOfQueryString(url.searchParams));
    headers.set("content-type", "application/json");
  } else if (method === "POST") {
    // `Response` reads every kind of body and knows its content type. Only forms need our own encoder, for WebKit.
    const body = init?.body instanceof FormData ? encodeForm(init.body) : init?.body;
    const source = body != null ? new Response(body) : (request?.clone() ?? new Response(null));
    outgoing.body = new Uint8Array(await source.arrayBuffer());
    const type = headers.get("content-type") ?? source.headers.get("content-type");
    headers.set("content-type", type === null || type.startsWith("text/plain") ? "application/json" : type);
  } else {
    throw new SessionError("invalid_request", `GraphQL requests are GET or POST, not ${method}.`);
  }
  headers.forEach((value, name) => (outgoing.headers[name] = value));
  return outgoing;
}

/** The address, if it has the page's own origin. A page never chooses a host. */
function parseOwnUrl(address: string | URL): URL {
  const page = new URL(location.href);
  let url: URL;
  try {
    url = new URL(address, page);
  } catch {
    throw new SessionError(
      "invalid_request",
      "The address of the request cannot be read. Use a path such as /graphql.",
    );
  }
  // Not `origin`: it is "null" for the scheme that Tauri serves pages from.
  if (url.protocol !== page.protocol || url.host !== page.host) {
    throw new SessionError(
      "invalid_request",
      "A page names an endpoint, not a server. Use a path such as /graphql; the server is the one that the person signed in to.",
    );
  }
  return url;
}

function endpointOf(url: URL): string {
  const name = url.pathname.split("/").filter(Boolean).at(-1);
  if (name === undefined) {
    throw new SessionError("invalid_request", "The address names no endpoint. Use a path such as /graphql.");
  }
  return name;
}

/** The JSON body for a query by GET: the session sends POST only. */
function bodyOfQueryString(parameters: URLSearchParams): string {
  const query = parameters.get("query");
  const operationName = parameters.get("operationName");
  const object = (name: string): unknown => {
    const text = parameters.get(name);
    if (text === null || text === "") return undefined;
    try {
      return JSON.parse(text);
    } catch {
      throw new SessionError("invalid_request", `The parameter ${name} of the request is not JSON.`);
    }
  };
  return JSON.stringify({
    query: query ?? undefined,
    operationName: operationName ?? undefined,
    variables: object("variables"),
    extensions: object("extensions"),
  });
}
