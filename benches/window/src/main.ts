import { invoke } from "@tauri-apps/api/core";
import { createSessionFetch } from "tauri-plugin-graphql-session-api";

/**
 * Lengths of replies in bytes, and how many calls in a row are timed together: WebKit's clock has a resolution of 1 ms,
 * so that a figure is exact to 2 % or better.
 */
const LENGTHS = [
  { bytes: 1_000, calls: 50 },
  { bytes: 100_000, calls: 20 },
  { bytes: 1_000_000, calls: 5 },
];

const ROUNDS = 300;

/** Rounds that are not counted, in which connections are opened, code is compiled and memory is allocated. */
const WARM_UP = 10;

/** Steps of the clock that are measured to find the smallest. */
const STEPS = 20;

/** Length of the upload's file, in bytes. */
const UPLOAD_BYTES = 25 << 20;

const LANES = ["page", "execute", "empty", "request"] as const;

/** Milliseconds for one call, for each lane. */
type Round = Record<(typeof LANES)[number], number>;

const [origin, query] = await invoke<[string, string]>("beginning");
const sessionFetch = createSessionFetch();
const encoded = new TextEncoder().encode(query);
const progress = document.getElementById("progress");

/** One call of each lane. It ends when the page has all bytes of the reply. */
const calls = {
  page: async (bytes: number) => {
    const headers = { "content-type": "application/json", authorization: "Bearer t", "x-bytes": String(bytes) };
    return (await fetch(`${origin}/graphql`, { method: "POST", headers, body: query })).arrayBuffer();
  },
  execute: async (bytes: number) => {
    const headers = { "content-type": "application/json", "x-bytes": String(bytes) };
    return (await sessionFetch("/graphql", { method: "POST", headers, body: query })).arrayBuffer();
  },
  empty: (bytes: number) => invoke<ArrayBuffer>("empty", encoded, { headers: { "x-bytes": String(bytes) } }),
};

try {
  await invoke("report", { figures: await measure() });
} catch (problem) {
  await invoke("fail", { problem: String(problem) });
}

async function measure(): Promise<unknown> {
  // First: the application has not allocated memory for anything else yet.
  const upload = await uploadOnce();
  const lengths = [];
  for (const { bytes, calls } of LENGTHS) {
    const rounds: Round[] = [];
    for (let number = 0; number < WARM_UP + ROUNDS; number += 1) {
      if (progress) progress.textContent = `${bytes} bytes: ${number} of ${WARM_UP + ROUNDS}`;
      const round = await oneRound(bytes, calls, number);
      if (number >= WARM_UP) rounds.push(round);
    }
    lengths.push({ bytes, calls, rounds });
  }
  const permissions = Number(await (await fetch(`${origin}/permissions`)).text());
  return { stepMs: smallestStep(), permissions, upload, lengths };
}

/** Every lane once. Each round begins with another lane. */
async function oneRound(bytes: number, count: number, number: number): Promise<Round> {
  const round: Round = { page: 0, execute: 0, empty: 0, request: 0 };
  for (let turn = 0; turn < LANES.length; turn += 1) {
    const lane = LANES[(number + turn) % LANES.length]!;
    round[lane] =
      lane === "request"
        ? await invoke<number>("request", { length: bytes, calls: count })
        : await timeOf(calls[lane], bytes, count);
  }
  return round;
}

async function timeOf(call: (bytes: number) => Promise<ArrayBuffer>, bytes: number, count: number): Promise<number> {
  const began = performance.now();
  for (let number = 0; number < count; number += 1) {
    const { byteLength } = await call(bytes);
    if (byteLength !== bytes) throw new Error(`${byteLength} bytes came instead of ${bytes}`);
  }
  return (performance.now() - began) / count;
}

/** An upload in the GraphQL multipart request form, after a small call that opens the connection. */
async function uploadOnce(): Promise<{ bytes: number; before: number | null; peak: number | null }> {
  await calls.execute(1_000);
  const body = form(new Uint8Array(UPLOAD_BYTES).fill(1));
  const before = await invoke<number | null>("watch_memory");
  const reply = await sessionFetch("/graphql", { method: "POST", headers: { "x-bytes": "1000" }, body });
  if (!reply.ok) throw new Error(`the upload was answered with ${reply.status}`);
  return { bytes: UPLOAD_BYTES, before, peak: await invoke<number | null>("peak_memory") };
}

function form(file: Uint8Array<ArrayBuffer>): FormData {
  const body = new FormData();
  const operations = { query: "mutation Attach($file: Upload!) { attach(file: $file) }", variables: { file: null } };
  body.append("operations", JSON.stringify(operations));
  body.append("map", JSON.stringify({ 0: ["variables.file"] }));
  body.append("0", new Blob([file]), "file");
  return body;
}

/** The smallest step of the clock, in milliseconds. */
function smallestStep(): number {
  let smallest = Infinity;
  for (let step = 0; step < STEPS; step += 1) {
    const before = performance.now();
    let now = before;
    while (now === before) now = performance.now();
    smallest = Math.min(smallest, now - before);
  }
  return smallest;
}
