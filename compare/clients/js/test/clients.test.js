// @ts-check
/** Every client, driven as the orchestrator drives it, against a server of the same wire. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

import { Driver } from "./driver.js";
import { Server } from "./server.js";

const PEOPLE = "query People { people { totalCount } }";
const CREATE = "mutation { createPerson { id } }";

/**
 * What is true of each client, as its documentation sets it up.
 *
 * @typedef {object} Truth
 * @property {number} [unauthorized] the status of a refused call that it understands
 * @property {boolean} clock it renews when it knows that its token has expired
 * @property {boolean} replays it renews when it is refused, and sends the call again
 * @property {boolean} logsOut it tells the application when its renewal was rejected
 * @property {"logs out" | "fails the call" | "tries again"} dropped what it does when a renewal's answer is lost with its
 *   connection
 * @property {boolean} [tellsOtherWindows] a logout in one window reaches the others
 * @property {boolean} [rejectsLateRefusals] a call that is refused while the renewal is under way is handed to its
 *   caller
 */
/** @type {Record<string, Truth>} */
const CLIENTS = {
  urql: { clock: true, replays: true, logsOut: true, dropped: "logs out" },
  apollo: { clock: false, replays: true, logsOut: true, dropped: "tries again", tellsOtherWindows: true },
  "apollo-link-token-refresh": { clock: true, replays: false, logsOut: true, dropped: "logs out" },
  "axios-auth-refresh": {
    unauthorized: 401,
    clock: false,
    replays: true,
    logsOut: false,
    dropped: "fails the call",
    rejectsLateRefusals: true,
  },
  supabase: {
    unauthorized: 401,
    clock: true,
    replays: false,
    logsOut: true,
    dropped: "tries again",
    tellsOtherWindows: true,
  },
  "oidc-client-ts": { unauthorized: 401, clock: true, replays: false, logsOut: true, dropped: "fails the call" },
};

for (const [name, truth] of Object.entries(CLIENTS)) {
  describe(name, { concurrency: true }, () => {
    test("a query and a mutation with a valid token arrive once each, and the versions are those installed", () =>
      driven(name, truth, async ({ driver, server }) => {
        assert.deepEqual(await driver.call({ id: 1, window: 0, query: PEOPLE }), { settled: 1, outcome: "data" });
        assert.deepEqual(await driver.call({ id: 2, window: 0, query: CREATE }), { settled: 2, outcome: "data" });
        assert.equal(server.calls, 2);
        assert.equal(server.mutations, 1);
        assert.equal(server.renewals, 0);
        assert.equal(await driver.signedIn(0), true);

        const { versions } = await driver.ask({ do: "versions" }, "versions");
        assert.equal(versions.node, process.version);
        assert.ok(Object.keys(versions).length > 1);
        for (const version of Object.values(versions)) assert.match(version, /^v?\d+\.\d+\.\d+/);
      }));

    test("calls at once after the expiry share one renewal and get data", { skip: !truth.clock }, () =>
      driven(name, truth, async ({ driver, server }) => {
        server.expireAll();
        for (const round of [1, 2]) {
          assert.deepEqual(await driver.ask({ do: "expire" }, "expired"), { expired: true });
          const ids = Array.from({ length: 50 }, (_, index) => round * 100 + index);
          for (const id of ids) driver.tell({ do: "call", id, window: 0, query: PEOPLE, variables: { caller: id } });
          for (const id of ids) assert.equal((await driver.settled(id)).outcome, "data");
          assert.equal(server.renewals, round);
          assert.equal(server.refused, 0);
        }
      }),
    );

    test("a refused call is renewed and replayed, or handed to its caller", () =>
      driven(name, truth, async ({ driver, server }) => {
        server.expireAll();
        const { outcome } = await driver.call({ id: 1, window: 0, query: CREATE });
        assert.equal(outcome, truth.replays ? "data" : "error");
        assert.equal(server.refused, 1);
        assert.equal(server.renewals, truth.replays ? 1 : 0);
        assert.equal(server.mutations, truth.replays ? 1 : 0);
        assert.deepEqual(driver.logouts, []);
      }));

    test("a rejected renewal settles every call, and logs out where the client says so", () =>
      driven(name, { ...truth, windows: 2 }, async ({ driver, server }) => {
        // Both windows have settled down before it happens, so that the second one learns of it from the first.
        await driver.call({ id: 10, window: 0, query: PEOPLE });
        await driver.call({ id: 11, window: 1, query: PEOPLE });
        server.revoke();
        await driver.ask({ do: "expire" }, "expired");
        driver.tell({ do: "call", id: 1, window: 0, query: PEOPLE, variables: { caller: 1 } });
        driver.tell({ do: "call", id: 2, window: 0, query: PEOPLE, variables: { caller: 2 } });
        assert.equal((await driver.settled(1)).outcome, "error");
        assert.equal((await driver.settled(2)).outcome, "error");
        assert.ok(server.renewals > 0);
        assert.equal(driver.logouts.includes(0), truth.logsOut);
        if (truth.tellsOtherWindows) await driver.loggedOut(1);
        else assert.ok(!driver.logouts.includes(1));
      }));

    test("a renewal whose connection is lost settles its call, and is taken for what the client takes it for", () =>
      driven(name, truth, async ({ driver, server }) => {
        if (truth.clock) await driver.ask({ do: "expire" }, "expired");
        if (truth.replays) server.expireAll();
        server.drops = 1;
        const first = await driver.call({ id: 1, window: 0, query: PEOPLE });
        assert.equal(first.outcome, truth.dropped === "tries again" ? "data" : "error");
        assert.equal(driver.logouts.includes(0), truth.dropped === "logs out");
        const second = await driver.call({ id: 2, window: 0, query: PEOPLE });
        assert.equal(second.outcome, truth.dropped === "logs out" ? "error" : "data");
      }));

    test("an aborted call settles as aborted, and the next one gets data", () =>
      driven(name, truth, async ({ driver, server }) => {
        /** @type {() => void} */
        let release = () => {};
        server.held = new Promise((resolve) => (release = resolve));
        driver.tell({ do: "call", id: 1, window: 0, query: PEOPLE });
        await driver.ask({ do: "status", window: 0 }, "status");
        driver.tell({ do: "abort", id: 1 });
        assert.deepEqual(await driver.settled(1), { settled: 1, outcome: "aborted" });
        release();
        assert.equal((await driver.call({ id: 2, window: 0, query: PEOPLE })).outcome, "data");
      }));

    test("two windows on one store both come through an expiry", () =>
      driven(name, { ...truth, windows: 2 }, async ({ driver, server }) => {
        if (truth.clock) await driver.ask({ do: "expire" }, "expired");
        if (truth.replays) server.expireAll();
        driver.tell({ do: "call", id: 1, window: 0, query: PEOPLE });
        driver.tell({ do: "call", id: 2, window: 1, query: PEOPLE });
        assert.equal((await driver.settled(1)).outcome, "data");
        assert.equal((await driver.settled(2)).outcome, "data");
        assert.ok(server.renewals >= 1);
        assert.deepEqual(driver.logouts, []);
      }));

    test("a second process reads the store; a sign-out leaves no credentials, and is no logout", (t) =>
      driven(name, truth, async ({ driver, server, origin, store }) => {
        const second = new Driver(name);
        t.after(() => second.end());
        await second.ask({ do: "open", origin, store, windows: 1 }, "opened");
        assert.equal(await second.signedIn(0), true);
        assert.equal((await second.call({ id: 1, window: 0, query: PEOPLE })).outcome, "data");
        assert.equal(server.renewals, 0);

        assert.deepEqual(await driver.ask({ do: "signOut", window: 0 }, "signedOut"), { signedOut: true });
        assert.equal(await driver.signedIn(0), false);
        assert.equal((await driver.call({ id: 1, window: 0, query: PEOPLE })).outcome, "error");
        assert.deepEqual(driver.logouts, []);
      }));

    test("measure, waiters and replays answer with a figure for each turn", () =>
      driven(name, truth, async ({ driver, server }) => {
        const measure = { do: "measure", callers: 4, calls: 40, turns: 2 };
        const { measured } = await driver.ask(measure, "measured");
        for (const side of ["bare", "client", "bareCpu", "clientCpu"]) plausible(measured[side], 2);
        // Each side has one block of 20 more than it has turns; identical queries at a time would have shared requests.
        // The client goes first in the second turn, right after its first one.
        assert.deepEqual(
          server.blocks.map(({ calls }) => calls),
          [20, 20, 20, 40, 20],
        );

        server.blocks = [];
        const { waited } = await driver.ask({ do: "waiters", calls: 50, turns: 2 }, "waited");
        plausible(waited.bare, 2);
        plausible(waited.client, 2);
        assert.equal(waited.failed > 0, truth.rejectsLateRefusals ?? false);
        // A client that looks at no clock sends all calls in vain first, and so does its bare side.
        assert.deepEqual(
          server.blocks.map(({ isBare }) => isBare),
          [false, true, false, true],
        );
        const once = [32, 32 + 50, 50 + 50, 50];
        assert.deepEqual(
          server.blocks.map(({ refused }) => refused),
          truth.clock ? [0, 0, 0, 0] : once,
        );
        for (const index of [1, 3]) {
          assert.equal(server.blocks[index]?.calls, (once[index] ?? 0) * (truth.clock ? 1 : 2));
        }
        assert.ok(server.connections <= 32, "not the same connections for both sides");

        const { replayed } = await driver.ask({ do: "replays", turns: 3 }, "replayed");
        if (truth.replays) {
          plausible(replayed.bare, 3);
          plausible(replayed.client, 3);
        } else {
          assert.equal(replayed, null);
        }
      }));
  });
}

test("the text of a refusal is told whole, without its token", () =>
  driven("apollo-link-token-refresh", { refresh: "r" }, async ({ driver, server }) => {
    server.expireAll();
    const told = async (/** @type {number} */ id) => (await driver.call({ id, window: 0, query: PEOPLE })).error;
    assert.equal(await told(1), "ApolloError: Token has expired.");
    server.repeatsTokens = true;
    assert.equal(await told(2), "ApolloError: Bearer … has expired.");
  }));

test("urql reloads the page when its renewal is rejected: every call settles, and none is sent again", () =>
  driven("urql", {}, async ({ driver, server }) => {
    server.revoke();
    const reloaded = (/** @type {number} */ id) => ({ settled: id, outcome: "error", error: "the page was reloaded" });
    const ids = [1, 2, 3, 4, 5];
    for (const id of ids) driver.tell({ do: "call", id, window: 0, query: PEOPLE, variables: { caller: id } });
    driver.tell({ do: "call", id: 6, window: 0, query: CREATE });
    for (const id of [...ids, 6]) assert.deepEqual(await driver.settled(id), reloaded(id));
    assert.deepEqual(driver.logouts, [0]);
    assert.equal(await driver.signedIn(0), false);
    assert.deepEqual(await driver.call({ id: 7, window: 0, query: PEOPLE }), reloaded(7));
    assert.equal(server.calls, 6);
    assert.equal(server.renewals, 1);
  }));

test("a measurement of which a side fails is answered with the error, and no token in it", () =>
  driven("urql", {}, async ({ driver, server }) => {
    const failure = async (/** @type {object} */ command, /** @type {string} */ field) => {
      const answer = await driver.ask(command, field);
      assert.equal(answer[field], false);
      return answer.error;
    };
    const measure = () => failure({ do: "measure", callers: 2, calls: 4, turns: 1 }, "measured");
    const waiters = () => failure({ do: "waiters", calls: 4, turns: 1 }, "waited");
    const replays = () => failure({ do: "replays", turns: 1 }, "replayed");

    server.fails = "client";
    assert.match(await measure(), /^A call with a valid token settled as error: .*Not for Bearer …$/);
    server.fails = "bare";
    assert.equal(await measure(), "A bare request was not answered with data, but with HTTP 500");
    assert.equal(await waiters(), "A bare request was not answered with data, but with HTTP 500");
    assert.equal(await replays(), "A bare request was not answered with a refusal, but with HTTP 500");
    server.fails = undefined;
    server.expireAll();
    assert.equal(await measure(), "A bare request was not answered with data, but with HTTP 200");
    server.revoke();
    assert.equal(await waiters(), "The renewal by hand was rejected");
    assert.equal(await replays(), "Nobody is signed in");
  }));

test("an unknown command and a broken line are answered, and do not end the driver", async (t) => {
  const driver = new Driver("urql");
  t.after(() => driver.end());
  assert.equal((await driver.ask({ do: "dance" }, "failed")).failed, false);
  assert.equal((await driver.call({ id: 1, window: 0, query: PEOPLE })).outcome, "error");
  assert.equal((await driver.ask({ do: "measure", callers: 1, calls: 1, turns: 1 }, "measured")).measured, false);
  assert.equal(await driver.end(), 0);
});

test("an unknown client is refused", async () => {
  assert.equal(await new Driver("nobody").end(), 2);
});

/**
 * A driver whose person has signed in, and the server that they speak with.
 *
 * @param {string} name
 * @param {Pick<Truth, "unauthorized"> & { windows?: number, refresh?: string }} setup `refresh`: what is
 *   stored instead of the server's refresh token
 * @param {(at: { driver: Driver, server: Server, origin: string, store: string }) => Promise<void>} scene
 */
async function driven(name, { unauthorized, windows = 1, refresh }, scene) {
  const folder = mkdtempSync(join(tmpdir(), "compare-"));
  const store = join(folder, "store.json");
  const server = new Server({ unauthorized });
  const origin = await server.listen();
  const driver = new Driver(name);
  try {
    const tokens = server.signIn();
    if (refresh) tokens.refresh = refresh;
    const open = { do: "open", origin, store, windows, tokens };
    assert.deepEqual(await driver.ask(open, "opened"), { opened: true });
    await scene({ driver, server, origin, store });
    assert.equal(await driver.end(), 0);
    const settled = driver.said.filter((answer) => "settled" in answer).map((answer) => answer.settled);
    assert.equal(new Set(settled).size, settled.length, "a call settled twice");
    assert.ok(!server.leakedInto(JSON.stringify(driver.said)), "a token on stdout");
    assert.ok(!server.leakedInto(driver.stderr), "a token on stderr");
  } finally {
    await driver.end();
    server.close();
    rmSync(folder, { recursive: true });
  }
}

/** @param {number[]} figures @param {number} turns */
function plausible(figures, turns) {
  assert.equal(figures.length, turns);
  for (const figure of figures) assert.ok(figure > 0 && figure < 10_000_000, `${figure}`);
}
