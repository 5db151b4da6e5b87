import { createHash } from "node:crypto";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { createSessionFetch, SessionError } from "../index.js";
import { framed, Host } from "./host.js";
import type { Invoke } from "./host.js";

const SLICE = 1 << 20;

interface Label {
  uploadId: string;
  offset: number;
  total: number;
  sha256: string;
}

let host: Host;
/** The part of each upload's body that the application has. */
let bodies: Map<string, Buffer>;

beforeEach(() => {
  host = new Host();
  bodies = new Map();
  host.on("upload", take);
  host.on("execute", () => framed({ status: 200, contentType: "application/json" }, '{"data":{}}'));
  host.on("cancel", () => null);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

interface Execute {
  requestId: string;
  uploadId?: string;
  headers: Record<string, string>;
}

function headerOf(invoke: Invoke | undefined): unknown {
  return JSON.parse(invoke?.headers["x-graphql-session"] ?? "null");
}

function labelOf(invoke: Invoke): Label {
  return headerOf(invoke) as Label;
}

/** The one call that was sent. */
function executed(): Execute & { body: Uint8Array } {
  expect(host.count("execute")).toBe(1);
  const [invoke] = host.asked("execute");
  return { ...(headerOf(invoke) as Execute), body: invoke?.args as Uint8Array };
}

/** Takes a slice as the plugin does. */
function take(invoke: Invoke): null {
  const { uploadId, offset, total, sha256 } = labelOf(invoke);
  const bytes = Buffer.from(invoke.args as Uint8Array);
  const held = bodies.get(uploadId) ?? Buffer.alloc(0);
  expect(offset).toBe(held.length);
  const isWhole = bytes.length === Math.min(SLICE, total - offset);
  if (!isWhole || createHash("sha256").update(bytes).digest("hex") !== sha256) throw broken();
  bodies.set(uploadId, Buffer.concat([held, bytes]));
  return null;
}

function broken(): unknown {
  return { code: "upload_broken", message: "Send it again." };
}

function bytes(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, place) => place % 251);
}

function post(body: BodyInit, signal?: AbortSignal): Promise<Response> {
  return createSessionFetch()("/graphql", { method: "POST", body, ...(signal && { signal }) });
}

async function codeOf(answer: Promise<unknown>): Promise<string> {
  const problem: unknown = await answer.catch((reason: unknown) => reason);
  expect(problem).toBeInstanceOf(SessionError);
  return (problem as SessionError).code;
}

it("a body of exactly one slice goes with its call", async () => {
  await post(bytes(SLICE));
  expect(host.count("upload")).toBe(0);
  expect(executed().body.length).toBe(SLICE);
  expect(executed()).not.toHaveProperty("uploadId");
});

describe("a body of more than one slice", () => {
  it("is sent in hashed slices, and its call has no body", async () => {
    const body = bytes(2 * SLICE + 3);
    expect((await post(body)).status).toBe(200);
    const labels = host.asked("upload").map(labelOf);
    expect(labels.map(({ offset, total }) => [offset, total])).toEqual([
      [0, body.length],
      [SLICE, body.length],
      [2 * SLICE, body.length],
    ]);
    const sent = executed();
    expect(sent.uploadId).toBe(sent.requestId);
    expect(sent.body.length).toBe(0);
    expect(bodies.get(sent.requestId)?.equals(body)).toBe(true);
    expect(host.invokes.at(-1)?.command).toBe("plugin:graphql-session|execute");
  });

  it("can be a form with a file", async () => {
    const form = new FormData();
    form.set("operations", '{"query":"mutation { up }"}');
    form.set("map", '{"0":["variables.file"]}');
    form.set("0", new Blob([bytes(SLICE + 1)]), "scan.bin");
    await post(form);
    const sent = executed();
    const boundary = /boundary=(.+)$/.exec(sent.headers["content-type"] ?? "")?.[1];
    const arrived = bodies.get(sent.requestId);
    expect(arrived?.indexOf(`--${boundary ?? "?"}`)).toBe(0);
    expect(arrived?.includes(Buffer.from(bytes(SLICE + 1)))).toBe(true);
  });

  it("resends a slice that did not arrive unchanged", async () => {
    const body = bytes(2 * SLICE);
    let cut = 2;
    host.on("upload", (invoke) => {
      const isCut = labelOf(invoke).offset === SLICE && cut-- > 0;
      return take(isCut ? { ...invoke, args: (invoke.args as Uint8Array).subarray(1) } : invoke);
    });
    expect((await post(body)).status).toBe(200);
    expect(host.count("upload")).toBe(4);
    expect([...bodies.values()][0]?.equals(body)).toBe(true);
  });
});

describe("an upload fails, its call is not sent", () => {
  it("if a slice never arrives unchanged", async () => {
    host.on("upload", () => {
      throw broken();
    });
    expect(await codeOf(post(bytes(2 * SLICE)))).toBe("upload_broken");
    expect(host.count("upload")).toBe(3);
    expect(host.count("execute")).toBe(0);
    expect(host.count("cancel")).toBe(1);
  });

  it("if the application refuses a slice", async () => {
    host.rejects("upload", { code: "too_large", message: "Choose smaller files." });
    expect(await codeOf(post(bytes(2 * SLICE)))).toBe("too_large");
    expect(host.count("upload")).toBe(1);
    expect(host.count("execute")).toBe(0);
  });

  it("if the page cannot compute hashes", async () => {
    vi.stubGlobal("crypto", { getRandomValues: (into: Uint8Array) => into.fill(7) });
    expect(await codeOf(post(bytes(2 * SLICE)))).toBe("config");
    expect(host.count("upload")).toBe(0);
    expect(host.count("execute")).toBe(0);
    expect((await post("{}")).status).toBe(200);
  });

  it("if its signal aborts between slices", async () => {
    const abort = new AbortController();
    let arrive = (): void => undefined;
    host.on("upload", (invoke) => {
      take(invoke);
      return new Promise<void>((resolve) => (arrive = resolve));
    });
    const answer = post(bytes(3 * SLICE), abort.signal);
    await vi.waitUntil(() => bodies.size === 1);
    abort.abort();
    await expect(answer).rejects.toMatchObject({ name: "AbortError" });
    // After the present slice, which would start the upload again.
    expect(host.count("cancel")).toBe(0);
    arrive();
    await vi.waitUntil(() => host.count("cancel") === 1);
    const [cancel] = host.asked("cancel");
    expect(cancel?.args).toEqual({ requestId: [...bodies.keys()][0] });
    expect(host.count("upload")).toBe(1);
    expect(host.count("execute")).toBe(0);
  });
});
