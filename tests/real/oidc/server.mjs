// The authorization server of examples/oauth, with what a test wants to change, and one GraphQL field that takes its tokens.
//
//   PORT=8200 ACCESS_SECONDS=1 ROTATE=always STATE=state.json node server.mjs
//
// ISSUER: its address as clients see it, where something lies between. GRACE_SECONDS: how long a used refresh token is taken
// again; 0, the default, is the provider's own way, where it revokes all that was issued to this sign-in.
// Prints READY when it listens. Everything lies in STATE, so that it can be stopped and started again. The page on which a
// person signs in has no form: the person in `login_hint`, or Ada, is signed in at once.
import { createServer } from "node:http";
import { readFileSync, writeFileSync } from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import { answer, createProvider, letIn, personOf } from "../../../examples/oauth/server/provider.mjs";

const port = Number(process.env.PORT);
const accessSeconds = Number(process.env.ACCESS_SECONDS ?? 1);
const issuer = process.env.ISSUER ?? `http://127.0.0.1:${port}`;
const graceSeconds = Number(process.env.GRACE_SECONDS ?? 0);
const stateFile = process.env.STATE;

const saved = read();
const rows = new Map(saved.rows);
const disabled = new Set(saved.disabled);
const counts = saved.counts;
let throttled = 0;

function read() {
    try {
        return JSON.parse(readFileSync(stateFile, "utf8"));
    } catch {
        const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
        const key = { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: "one" };
        return { key, rows: [], disabled: [], counts: { tokenRequests: 0, renewed: 0, refused: 0, calls: 0, callsRefused: 0 } };
    }
}

function save() {
    const state = { key: saved.key, rows: [...rows], disabled: [...disabled], counts };
    writeFileSync(stateFile, JSON.stringify(state));
}

// The server's rows, which outlive a restart.
class Rows {
    constructor(kind) {
        this.kind = kind;
    }
    at(id) {
        return `${this.kind}:${id}`;
    }
    async upsert(id, payload, expiresIn) {
        rows.set(this.at(id), { payload, until: expiresIn ? Date.now() + expiresIn * 1000 : null });
        save();
    }
    async find(id) {
        const row = rows.get(this.at(id));
        if (!row || (row.until !== null && Date.now() >= row.until)) return undefined;
        return this.isInGrace(row.payload) ? { ...row.payload, consumed: undefined } : row.payload;
    }
    isInGrace({ consumed }) {
        return this.kind === "RefreshToken" && consumed && Date.now() < (consumed + graceSeconds) * 1000;
    }
    async findBy(key, value) {
        for (const [id, row] of rows) if (id.startsWith(`${this.kind}:`) && row.payload[key] === value) return row.payload;
        return undefined;
    }
    findByUid(uid) {
        return this.findBy("uid", uid);
    }
    findByUserCode(userCode) {
        return this.findBy("userCode", userCode);
    }
    async consume(id) {
        // The grace time counts from the first use.
        rows.get(this.at(id)).payload.consumed ??= Math.floor(Date.now() / 1000);
        save();
    }
    async destroy(id) {
        rows.delete(this.at(id));
        save();
    }
    async revokeByGrantId(grantId) {
        for (const [id, row] of rows) if (row.payload.grantId === grantId) rows.delete(id);
        save();
    }
}

const provider = createProvider(issuer, accessSeconds, {
    adapter: Rows,
    jwks: { keys: [saved.key] },
    cookies: { keys: ["a key for a test"] },
    findAccount: (_, id) =>
        disabled.has(id) ? undefined : { accountId: id, claims: () => ({ sub: id, email: `${id}@example.com` }) },
    rotateRefreshToken: process.env.ROTATE !== "never",
});
const renewing = context => context.oidc?.params?.grant_type === "refresh_token";
provider.on("grant.success", context => renewing(context) && counts.renewed++);
provider.on("grant.error", context => renewing(context) && counts.refused++);

async function interact(request, response) {
    const { params } = await provider.interactionDetails(request, response);
    await letIn(provider, request, response, params.login_hint ?? "ada");
}

async function call(request, response) {
    counts.calls++;
    const id = await personOf(provider, request);
    if (!id || disabled.has(id)) {
        counts.callsRefused++;
        return answer(response, 401, { errors: [{ message: "No.", extensions: { code: "UNAUTHENTICATED" } }] });
    }
    answer(response, 200, { data: { me: { id } } });
}

const handle = provider.callback();
const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, issuer);
    if (pathname.startsWith("/interaction/")) return interact(request, response);
    if (pathname === "/graphql") return call(request, response);
    if (pathname === "/test/counts") return answer(response, 200, counts);
    if (pathname === "/test/disable") return answer(response, 200, [...disabled.add(searchParams.get("user"))]);
    if (pathname === "/test/throttle") return answer(response, 200, (throttled = Number(searchParams.get("times"))));
    if (pathname === "/token") {
        counts.tokenRequests++;
        if (throttled > 0) {
            throttled--;
            response.writeHead(429, { "retry-after": "1", "content-type": "text/plain" });
            return response.end("Too many requests, please try again later.");
        }
    }
    handle(request, response);
});
server.listen(port, "127.0.0.1", () => console.log("READY"));
process.on("SIGTERM", () => {
    // What it has begun it finishes.
    server.close(() => {
        save();
        process.exit();
    });
    server.closeIdleConnections();
});
