// @ts-check
/**
 * The figures: the client and bare requests, in turns in one process, over the same connections to the same server.
 *
 * A bare request is what a page would write by hand: `fetch` with a ready Authorization header and a ready body,
 * its reply parsed.
 */
import { RENEW_TOKEN } from "./client.js";
import { CONNECTIONS } from "./connections.js";
/** @import { ClientWindow, Operation, TokenPair, Tokens } from "./client.js" */

/**
 * @typedef {object} Subject
 * @property {string} origin
 * @property {(operation: Operation) => Promise<{ outcome: string, error?: string }>} call through the client; never
 *   rejects
 * @property {ClientWindow["tokens"]} tokens
 * @property {() => void} expire
 */

/** One more caller asks with one more variable: urql would answer two identical queries at a time with one request. */
const QUERY = "query People($caller: Int) { people { totalCount } }";

/** @param {number} caller @returns {Operation} */
const operation = (caller) => ({ query: QUERY, variables: { caller } });

/**
 * The time of a call with a valid token, in microseconds, for each turn.
 *
 * @param {Subject} subject
 * @param {{ callers: number, calls: number, turns: number }} size `calls` are those of all turns together
 */
export async function measure(subject, { callers, calls, turns }) {
  const bareCall = bareCaller(subject.origin, held(subject).access);
  const clientCall = clientCaller(subject);
  const block = Math.ceil(calls / turns);
  await timed(() => atMost(callers, block, bareCall));
  await timed(() => atMost(callers, block, clientCall));

  /** @type {Record<"bare" | "client" | "bareCpu" | "clientCpu", number[]>} */
  const figures = { bare: [], client: [], bareCpu: [], clientCpu: [] };
  for (let turn = 0; turn < turns; turn++) {
    const bare = await timed(() => atMost(callers, block, bareCall));
    const client = await timed(() => atMost(callers, block, clientCall));
    figures.bare.push((bare.wall * 1000) / block);
    figures.client.push((client.wall * 1000) / block);
    figures.bareCpu.push((bare.cpu * 1000) / block);
    figures.clientCpu.push((client.cpu * 1000) / block);
  }
  return figures;
}

/**
 * The time until so many calls have settled that all found the access token expired, in milliseconds, for each
 * turn. By hand: one renewal, then as many requests.
 *
 * @param {Subject} subject
 * @param {{ calls: number, turns: number }} size
 */
export async function waiters(subject, { calls, turns }) {
  let byHand = held(subject).refresh;
  let failed = 0;

  const bareTurn = async (/** @type {number} */ calls) => {
    const tokens = await renewByHand(subject.origin, byHand);
    byHand = tokens.refresh;
    await atMost(CONNECTIONS, calls, bareCaller(subject.origin, tokens.access));
  };
  const clientTurn = async (/** @type {number} */ calls) => {
    const all = Array.from({ length: calls }, (_, caller) => subject.call(operation(caller)));
    for (const { outcome } of await Promise.all(all)) if (outcome !== "data") failed++;
  };

  // The client goes first where nothing is measured: the token that both begin with is then used by hand within its
  // grace time, and the client never holds a used one.
  await allExpired(subject);
  await clientTurn(CONNECTIONS);
  await bareTurn(CONNECTIONS);
  failed = 0;

  /** @type {Record<"bare" | "client", number[]>} */
  const figures = { bare: [], client: [] };
  for (let turn = 0; turn < turns; turn++) {
    await allExpired(subject);
    figures.bare.push((await timed(() => bareTurn(calls))).wall);
    figures.client.push((await timed(() => clientTurn(calls))).wall);
  }
  return { ...figures, failed };
}

/**
 * The time from a refusal to its replay, in microseconds, as the server sees it, for each turn. Null for a client
 * that hands the refusal to its caller.
 *
 * @param {Subject} subject
 * @param {{ turns: number }} size
 */
export async function replays(subject, { turns }) {
  let byHand = held(subject).refresh;
  let access = "";

  const clientTurn = async () => {
    await refuseAll(subject.origin);
    await replayTimes(subject.origin);
    const settled = await subject.call(operation(0));
    return { settled, times: await replayTimes(subject.origin) };
  };
  const bareTurn = async () => {
    await refuseAll(subject.origin);
    await replayTimes(subject.origin);
    await bareCaller(subject.origin, access)(0);
    const tokens = await renewByHand(subject.origin, byHand);
    ({ access, refresh: byHand } = tokens);
    await bareCaller(subject.origin, access)(0);
    return replayTimes(subject.origin);
  };

  const first = await clientTurn();
  if (first.settled.outcome !== "data") return null;
  await bareTurn();

  /** @type {Record<"bare" | "client", number[]>} */
  const figures = { bare: [], client: [] };
  for (let turn = 0; turn < turns; turn++) {
    figures.bare.push(...(await bareTurn()));
    const { settled, times } = await clientTurn();
    if (settled.outcome !== "data") throw new Error(`A refused call settled as ${settled.outcome}: ${settled.error}`);
    figures.client.push(...times);
  }
  return figures;
}

/**
 * So many calls, by so many callers at a time.
 *
 * @param {number} callers
 * @param {number} calls
 * @param {(caller: number) => Promise<unknown>} call
 */
async function atMost(callers, calls, call) {
  let begun = 0;
  const loop = async (/** @type {number} */ caller) => {
    while (begun++ < calls) await call(caller);
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => loop(caller)));
}

/**
 * How long something takes, and how much of the process's CPU time (user and system), in milliseconds.
 *
 * @param {() => Promise<unknown>} work
 */
async function timed(work) {
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  await work();
  const wall = performance.now() - before;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { wall, cpu: (user + system) / 1000 };
}

/** @param {string} origin @param {string} access */
function bareCaller(origin, access) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${access}` };
  /** @type {string[]} */
  const bodies = [];
  return async (/** @type {number} */ caller) => {
    const body = (bodies[caller] ??= JSON.stringify(operation(caller)));
    const reply = await fetch(`${origin}/graphql`, { method: "POST", headers, body });
    return reply.json();
  };
}

/** @param {Subject} subject */
function clientCaller({ call }) {
  return async (/** @type {number} */ caller) => {
    const { outcome, error } = await call(operation(caller));
    if (outcome !== "data") throw new Error(`A call with a valid token settled as ${outcome}: ${error}`);
  };
}

/** @param {string} origin @param {string} refresh @returns {Promise<Tokens>} */
async function renewByHand(origin, refresh) {
  const reply = await fetch(`${origin}/metadata`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: RENEW_TOKEN, variables: { appToken: refresh } }),
  });
  /** @type {{ data?: { renewToken?: { tokens: TokenPair } } }} */
  const { data } = await reply.json();
  if (!data?.renewToken) throw new Error("The renewal by hand was rejected");
  const { accessOrWorkspaceAgnosticToken, refreshToken } = data.renewToken.tokens;
  return { access: accessOrWorkspaceAgnosticToken.token, refresh: refreshToken.token };
}

/** The server refuses every access token from now on. @param {string} origin */
async function refuseAll(origin) {
  const reply = await fetch(`${origin}/control/expire`, { method: "POST" });
  if (!reply.ok) throw new Error(`The server answered ${reply.status} to /control/expire`);
}

/** The same, and the client knows it. @param {Subject} subject */
async function allExpired({ origin, expire }) {
  await refuseAll(origin);
  expire();
}

/**
 * Refusal to replay, of all that were replayed since the last asking.
 *
 * @param {string} origin
 * @returns {Promise<number[]>}
 */
async function replayTimes(origin) {
  const reply = await fetch(`${origin}/control/replays`);
  return (await reply.json()).µs;
}

/** @param {Subject} subject */
function held({ tokens }) {
  const pair = tokens();
  if (!pair) throw new Error("Nobody is signed in");
  return pair;
}
