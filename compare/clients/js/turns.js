// @ts-check
/**
 * The figures: the client and bare requests, in turns in one process, over the same connections to the same server.
 *
 * A bare request is what a page would write by hand: `fetch` with a ready Authorization header and a ready body,
 * its reply parsed.
 */
import { RENEW_TOKEN } from "./client.js";
import { CONNECTIONS } from "./connections.js";
/** @import { ClientWindow, GraphQLReply, Operation, TokenPair, Tokens } from "./client.js" */

/**
 * @typedef {object} Subject
 * @property {string} origin
 * @property {boolean} looksAtClock
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
  const bareTurn = async () => {
    const { wall, cpu } = await timed(() => atMost(callers, block, bareCall));
    figures.bare.push((wall * 1000) / block);
    figures.bareCpu.push((cpu * 1000) / block);
  };
  const clientTurn = async () => {
    const { wall, cpu } = await timed(() => atMost(callers, block, clientCall));
    figures.client.push((wall * 1000) / block);
    figures.clientCpu.push((cpu * 1000) / block);
  };
  for (let turn = 0; turn < turns; turn++) await bothSides(turn, bareTurn, clientTurn);
  return figures;
}

/**
 * The time until so many calls have settled that all found the access token expired, in milliseconds, for each
 * turn. By hand: one renewal, then as many requests; and before that as many that are refused, where the client looks
 * at no clock and can only learn of the expiry so.
 *
 * @param {Subject} subject
 * @param {{ calls: number, turns: number }} size
 */
export async function waiters(subject, { calls, turns }) {
  const { origin, looksAtClock } = subject;
  let byHand = held(subject);
  let failed = 0;

  const bareTurn = async (/** @type {number} */ calls) => {
    if (!looksAtClock) await atMost(CONNECTIONS, calls, bareCaller(origin, byHand.access, REFUSED));
    byHand = await renewByHand(origin, byHand.refresh);
    await atMost(CONNECTIONS, calls, bareCaller(origin, byHand.access));
  };
  const clientTurn = async (/** @type {number} */ calls) => {
    const all = Array.from({ length: calls }, (_, caller) => subject.call(operation(caller)));
    for (const { outcome } of await Promise.all(all)) if (outcome !== "data") failed++;
  };

  // The client goes first where nothing is measured: the token that both begin with is then used by hand within its
  // grace time, and the client never holds a used one.
  await refuseAll(origin);
  subject.expire();
  await clientTurn(CONNECTIONS);
  await bareTurn(CONNECTIONS);
  failed = 0;

  /** @type {Record<"bare" | "client", number[]>} */
  const figures = { bare: [], client: [] };
  const timedBare = async () => {
    figures.bare.push((await timed(() => bareTurn(calls))).wall);
  };
  const timedClient = async () => {
    // Only now: a client that looks at its clock by itself must not renew in the other side's time.
    subject.expire();
    figures.client.push((await timed(() => clientTurn(calls))).wall);
  };
  for (let turn = 0; turn < turns; turn++) {
    await refuseAll(origin);
    await bothSides(turn, timedBare, timedClient);
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
  const { origin } = subject;
  let byHand = held(subject);

  const clientTurn = async () => {
    await refuseAll(origin);
    await replayTimes(origin);
    const settled = await subject.call(operation(0));
    return { settled, times: await replayTimes(origin) };
  };
  const bareTurn = async () => {
    await refuseAll(origin);
    await replayTimes(origin);
    await bareCaller(origin, byHand.access, REFUSED)(0);
    byHand = await renewByHand(origin, byHand.refresh);
    await bareCaller(origin, byHand.access)(0);
    return replayTimes(origin);
  };

  const first = await clientTurn();
  if (first.settled.outcome !== "data") return null;
  await bareTurn();

  /** @type {Record<"bare" | "client", number[]>} */
  const figures = { bare: [], client: [] };
  const timedBare = async () => {
    figures.bare.push(...(await bareTurn()));
  };
  const timedClient = async () => {
    const { settled, times } = await clientTurn();
    if (settled.outcome !== "data") throw new Error(`A refused call settled as ${settled.outcome}: ${settled.error}`);
    figures.client.push(...times);
  };
  for (let turn = 0; turn < turns; turn++) await bothSides(turn, timedBare, timedClient);
  return figures;
}

/**
 * One turn. Each side goes first in every second one: what one leaves behind meets the other as often.
 *
 * @param {number} turn
 * @param {() => Promise<void>} bare
 * @param {() => Promise<void>} client
 */
async function bothSides(turn, bare, client) {
  for (const side of turn % 2 === 0 ? [bare, client] : [client, bare]) await side();
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

/** What a bare request is to be answered with. */
const DATA = "data";
const REFUSED = "a refusal";

/**
 * Bare requests. One with another answer than it is to have ends the measurement: that is no figure of the client's.
 *
 * @param {string} origin
 * @param {string} access
 * @param {typeof DATA | typeof REFUSED} wanted
 */
function bareCaller(origin, access, wanted = DATA) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${access}` };
  /** @type {string[]} */
  const bodies = [];
  return async (/** @type {number} */ caller) => {
    const body = (bodies[caller] ??= JSON.stringify(operation(caller)));
    const reply = await fetch(`${origin}/graphql`, { method: "POST", headers, body });
    /** @type {GraphQLReply} */
    const { data, errors } = await reply.json();
    const isWanted = wanted === DATA ? reply.ok && data && !errors : (reply.ok || reply.status === 401) && errors;
    if (!isWanted) throw new Error(`A bare request was not answered with ${wanted}, but with HTTP ${reply.status}`);
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
