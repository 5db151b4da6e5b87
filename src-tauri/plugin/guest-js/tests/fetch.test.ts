import { beforeEach, describe, expect, it, vi } from "vitest";

import { createSessionFetch, SessionError } from "../index.js";
import { framed, Host, rejectionOf } from "./host.js";
import type { Invoke } from "./host.js";

interface Sent {
  requestId: string;
  endpoint: string;
  account?: string;
  deadlineMs?: number;
  headers: Record<string, string>;
  received?: string[];
}

let host: Host;

beforeEach(() => {
  host = new Host();
  host.on("execute", () => framed({ status: 200, contentType: "application/json" }, '{"data":{}}'));
  host.on("cancel", () => null);
});

function metadataOf(invoke: Invoke | undefined): Sent {
  return JSON.parse(invoke?.headers["x-graphql-session"] ?? "null") as Sent;
}

function lastSent(): Sent & { body: string } {
  const invoke = host.asked("execute").at(-1);
  return { ...metadataOf(invoke), body: new TextDecoder().decode(invoke?.args as Uint8Array) };
}

function post(url: string | URL, body: BodyInit = '{"query":"{ me }"}', headers: HeadersInit = {}): Promise<Response> {
  return createSessionFetch()(url, { method: "POST", body, headers });
}

async function refusalOf(answer: Promise<unknown>): Promise<SessionError> {
  const problem = await rejectionOf(answer);
  expect(problem).toBeInstanceOf(SessionError);
  return problem as SessionError;
}

describe("what is sent", () => {
  it("is the body as bytes, and the last segment as the endpoint", async () => {
    await post("/api/metadata", '{"query":"{ objects }"}', { "Content-Type": "application/json", Accept: "*/*" });
    const sent = lastSent();
    expect(sent.endpoint).toBe("metadata");
    expect(sent.body).toBe('{"query":"{ objects }"}');
    expect(sent.headers).toEqual({ "content-type": "application/json", accept: "*/*" });
    expect(sent.requestId).toMatch(/^[0-9a-f]{32}$/);
  });

  it.each(["graphql", "/graphql", "/graphql/", "tauri://localhost/graphql", new URL("tauri://localhost/graphql?x=1")])(
    "goes to the endpoint graphql for %s",
    async (url) => {
      await post(url);
      expect(lastSent().endpoint).toBe("graphql");
    },
  );

  it.each(["https://evil.example/graphql", "//evil.example/graphql", "http://localhost/graphql", "data:,graphql"])(
    "is nothing for the other origin %s",
    async (url) => {
      expect((await refusalOf(post(url))).code).toBe("invalid_request");
      expect(host.count("execute")).toBe(0);
    },
  );

  it("is nothing for a path without a name or for another method", async () => {
    expect((await refusalOf(post("/"))).code).toBe("invalid_request");
    expect((await refusalOf(createSessionFetch()("/graphql", { method: "DELETE" }))).code).toBe("invalid_request");
    expect(host.count("execute")).toBe(0);
  });

  it("is a JSON body for a query by GET", async () => {
    const url = "/graphql?operationName=Me&query=query%20Me%20%7B%20me%20%7D&variables=%7B%22a%22%3A%5B1%5D%7D";
    await createSessionFetch()(url, { method: "GET", headers: { accept: "application/json" } });
    const sent = lastSent();
    expect(JSON.parse(sent.body)).toEqual({ query: "query Me { me }", operationName: "Me", variables: { a: [1] } });
    expect(sent.headers).toEqual({ accept: "application/json", "content-type": "application/json" });
  });

  it("is nothing for a GET whose variables are not JSON", async () => {
    const refusal = await refusalOf(createSessionFetch()("/graphql?query=%7Bme%7D&variables=%7B"));
    expect(refusal.code).toBe("invalid_request");
  });

  it("is a copy of a Request, which stays readable", async () => {
    const url = "https://page.example/graphql";
    vi.stubGlobal("location", new URL("https://page.example/people"));
    const request = new Request(url, { method: "POST", body: '{"query":"{ a }"}', headers: { "x-trace": "7" } });
    await createSessionFetch()(request);
    expect(lastSent()).toMatchObject({ endpoint: "graphql", body: '{"query":"{ a }"}', headers: { "x-trace": "7" } });
    expect(await request.text()).toBe('{"query":"{ a }"}');
  });

  it("has the boundary of a form", async () => {
    const form = new FormData();
    form.set("operations", '{"query":"mutation { up }"}');
    form.set("0", new Blob(["file"]), "a.txt");
    await post("/graphql", form);
    const sent = lastSent();
    const boundary = /boundary=(.+)$/.exec(sent.headers["content-type"] ?? "")?.[1];
    expect(boundary).toBeDefined();
    expect(sent.body).toContain(`--${boundary ?? "?"}`);
  });

  it("is a form that WebKit cannot read, with a file in it", async () => {
    const PlatformResponse = Response;
    vi.stubGlobal(
      "Response",
      class extends PlatformResponse {
        constructor(body?: BodyInit | null, init?: ResponseInit) {
          if (body instanceof FormData) throw new DOMException("Unable to read form data blob", "InvalidStateError");
          super(body, init);
        }
      },
    );
    const form = new FormData();
    form.set("0", new Blob(["file"]), "a.txt");
    await post("/graphql", form);
    expect(lastSent().body).toContain(
      'name="0"; filename="a.txt"\r\nContent-Type: application/octet-stream\r\n\r\nfile\r\n--',
    );
  });

  it("has its metadata in printable ASCII, whatever the account's name", async () => {
    await createSessionFetch({ account: "büro\n✓" })("/graphql", { method: "POST", body: "{}" });
    expect(host.asked("execute")[0]?.headers["x-graphql-session"]).toMatch(/^[\x20-\x7e]+$/);
    expect(lastSent().account).toBe("büro\n✓");
  });

  it("has its own id, and the given account, endpoint and deadline", async () => {
    const sessionFetch = createSessionFetch({ account: "work", endpoint: "metadata", deadlineMs: 5_000 });
    await sessionFetch("/graphql", { method: "POST", body: "{}" });
    await sessionFetch("/graphql", { method: "POST", body: "{}" });
    const [first, second] = host.asked("execute").map(metadataOf);
    expect(first).toMatchObject({ account: "work", endpoint: "metadata", deadlineMs: 5_000 });
    expect(first?.requestId).not.toBe(second?.requestId);
  });

  it("names the replies that arrived before", async () => {
    await post("/graphql");
    const first = lastSent().requestId;
    await post("/graphql");
    expect(lastSent().received).toEqual([first]);
    await post("/graphql");
    expect(lastSent().received).not.toContain(first);
  });
});

describe("what comes back", () => {
  it("is the server's status, content type and body, and can be cloned", async () => {
    host.on("execute", () =>
      framed({ status: 400, contentType: "application/graphql-response+json" }, '{"errors":[]}'),
    );
    const response = await post("/graphql");
    expect(response.status).toBe(400);
    expect(response.ok).toBe(false);
    expect(response.headers.get("content-type")).toBe("application/graphql-response+json");
    expect(await response.clone().text()).toBe('{"errors":[]}');
    expect(await response.json()).toEqual({ errors: [] });
  });

  it("is read from bytes at an offset, and from an array of numbers", async () => {
    const whole = new Uint8Array(framed({ status: 200 }, "xy"));
    host.on("execute", () => [...whole]);
    expect(await (await post("/graphql")).text()).toBe("xy");
    const padded = new Uint8Array(whole.length + 3);
    padded.set(whole, 3);
    host.on("execute", () => padded.subarray(3));
    expect(await (await post("/graphql")).text()).toBe("xy");
  });

  it("can have no body and no content type", async () => {
    host.on("execute", () => framed({ status: 204, contentType: null }));
    const response = await post("/graphql");
    expect(response.status).toBe(204);
    expect(response.headers.has("content-type")).toBe(false);
    expect(await response.text()).toBe("");
  });

  it.each([
    ["too short", new ArrayBuffer(2)],
    ["a head longer than the reply", new Uint8Array([0, 0, 1, 0, 123]).buffer],
    ["a head without a status", framed({ contentType: "x" })],
    ["a head that is no JSON", new Uint8Array([0, 0, 0, 1, 123]).buffer],
  ])("is refused when %s", async (_, raw) => {
    host.on("execute", () => raw);
    expect((await refusalOf(post("/graphql"))).code).toBe("internal");
  });

  it("is refused when its status is none that HTTP has for an answer", async () => {
    for (const status of [101, 199, 600, 999, 65_736, 200.5, "200"]) {
      host.on("execute", () => framed({ status }));
      expect((await refusalOf(post("/graphql"))).code).toBe("internal");
    }
  });

  it("is a SessionError if the command rejects", async () => {
    host.rejects("execute", { code: "unreachable", message: "Try later.", retryAfterMs: 1200 });
    const refusal = await refusalOf(post("/graphql"));
    expect(refusal).toMatchObject({ code: "unreachable", message: "Try later.", retryAfterMs: 1200 });
  });
});

describe("an aborted call", () => {
  it("rejects with an AbortError at once, and is cancelled by its id", async () => {
    host.on("execute", () => new Promise(() => undefined));
    const abort = new AbortController();
    const answer = createSessionFetch()("/graphql", { method: "POST", body: "{}", signal: abort.signal });
    await vi.waitUntil(() => host.count("execute") === 1);
    abort.abort();
    await expect(answer).rejects.toMatchObject({ name: "AbortError" });
    await expect(answer).rejects.toBeInstanceOf(DOMException);
    expect(host.asked("cancel").map(({ args }) => args)).toEqual([{ requestId: lastSent().requestId }]);
  });

  it("is not sent if it was aborted before", async () => {
    const signal = AbortSignal.abort();
    await expect(createSessionFetch()("/graphql", { method: "POST", body: "{}", signal })).rejects.toMatchObject({
      name: "AbortError",
    });
    expect(host.invokes).toEqual([]);
  });

  it("may have been aborted by the signal of a Request", async () => {
    vi.stubGlobal("location", new URL("https://page.example/"));
    host.on("execute", () => new Promise(() => undefined));
    const abort = new AbortController();
    const url = "https://page.example/graphql";
    const answer = createSessionFetch()(new Request(url, { method: "POST", body: "{}", signal: abort.signal }));
    await vi.waitUntil(() => host.count("execute") === 1);
    abort.abort();
    await expect(answer).rejects.toMatchObject({ name: "AbortError" });
    expect(host.count("cancel")).toBe(1);
  });

  it("is not cancelled after its reply has arrived", async () => {
    const abort = new AbortController();
    await createSessionFetch()("/graphql", { method: "POST", body: "{}", signal: abort.signal });
    abort.abort();
    expect(host.count("cancel")).toBe(0);
  });
});
