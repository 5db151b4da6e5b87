// @ts-check
/**
 * The wire of the driver protocol, as far as the drivers need it to be tested: one session whose tokens rotate, on
 * all faces.
 */
import { createServer } from "node:http";

const GRANT_SECONDS = 1800;

export class Server {
  /** What the server counted. */
  calls = 0;
  refused = 0;
  renewals = 0;
  mutations = 0;
  logouts = 0;
  /** The `Authorization` headers of calls that it accepted must be these. */
  #accepted = new Set();
  /** Refresh tokens that it issued, used or not. */
  #refreshTokens = new Set();
  #issued = 0;
  /** Calls one after the other from one side: bare requests, which say no more than they must, or the client's. */
  blocks = /** @type {{ isBare: boolean, calls: number, refused: number }[]} */ ([]);
  /** The most connections that were open at a time. */
  connections = 0;
  #open = 0;
  /** Whose calls get no answer of use. @type {"bare" | "client" | undefined} */
  fails = undefined;
  /** Whether a refusal repeats the token that it refuses. */
  repeatsTokens = false;
  /** So many of the next renewals lose their connection instead of an answer. */
  drops = 0;
  /** While set, renewals and calls wait for it. @type {Promise<void> | undefined} */
  held = undefined;
  /** When the last refusal was written, until the next call is accepted. */
  #refusedAt = 0n;
  /** @type {number[]} */
  #replays = [];
  #unauthorized;
  #http = createServer((request, response) => void this.#answer(request, response));

  /** @param {{ unauthorized?: number }} [options] the HTTP status of a refused call: 401 for clients of HTTP alone */
  constructor({ unauthorized = 200 } = {}) {
    this.#unauthorized = unauthorized;
    this.#http.on("connection", (socket) => {
      this.connections = Math.max(this.connections, ++this.#open);
      socket.on("close", () => this.#open--);
    });
  }

  async listen() {
    await /** @type {Promise<void>} */ (new Promise((listening) => this.#http.listen(0, "127.0.0.1", listening)));
    const address = /** @type {import("node:net").AddressInfo} */ (this.#http.address());
    return `http://127.0.0.1:${address.port}`;
  }

  close() {
    this.#http.closeAllConnections();
    this.#http.close();
  }

  /** The tokens of a sign-in. */
  signIn({ accessSeconds = GRANT_SECONDS } = {}) {
    return this.#issue(accessSeconds);
  }

  /** Refuses every access token that it has issued so far. */
  expireAll() {
    this.#accepted.clear();
  }

  /** Rejects every refresh token that it has issued so far, and refuses every access token. */
  revoke() {
    this.expireAll();
    this.#refreshTokens.clear();
  }

  /** Whether a text holds any token of this server. @param {string} text */
  leakedInto(text) {
    return /(access|refresh)-[0-9]+-secret/.test(text);
  }

  #issue(accessSeconds = GRANT_SECONDS) {
    const n = ++this.#issued;
    const access = `access-${n}-secret`;
    const refresh = `refresh-${n}-secret`;
    this.#accepted.add(`Bearer ${access}`);
    this.#refreshTokens.add(refresh);
    const after = (/** @type {number} */ seconds) => new Date(Date.now() + seconds * 1000).toISOString();
    return { access, accessExpiresAt: after(accessSeconds), refresh, refreshExpiresAt: after(60 * 24 * 3600) };
  }

  /**
   * @param {import("node:http").IncomingMessage} request
   * @param {import("node:http").ServerResponse} response
   */
  async #answer(request, response) {
    let text = "";
    for await (const chunk of request) text += chunk;
    const path = request.url ?? "";
    const body = /** @type {any} */ (parsed(text));
    const json = (/** @type {number} */ status, /** @type {unknown} */ value) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(value));
    };

    if (path === "/control/expire") {
      this.expireAll();
      response.writeHead(204).end();
    } else if (path === "/control/replays") {
      json(200, { µs: this.#replays.splice(0) });
    } else if (path.startsWith("/auth/v1/logout")) {
      this.logouts++;
      response.writeHead(204).end();
    } else if (path.startsWith("/auth/v1/token")) {
      await this.#renew(request, body.refresh_token, json, {
        granted: ({ access, refresh, accessExpiresAt }) => ({
          access_token: access,
          token_type: "bearer",
          expires_in: GRANT_SECONDS,
          expires_at: Math.floor(Date.parse(accessExpiresAt) / 1000),
          refresh_token: refresh,
          user: { id: "ada", aud: "authenticated", role: "authenticated", email: "ada@example.com" },
        }),
        rejected: [400, { code: 400, error_code: "refresh_token_not_found", msg: "Invalid Refresh Token" }],
      });
    } else if (path === "/oauth/token") {
      await this.#renew(request, body.refresh_token, json, {
        granted: ({ access, refresh }) => ({
          access_token: access,
          token_type: "Bearer",
          expires_in: GRANT_SECONDS,
          refresh_token: refresh,
        }),
        rejected: [400, { error: "invalid_grant", error_description: "The refresh token is not known" }],
      });
    } else if (String(body.query).includes("renewToken")) {
      await this.#renew(request, body.variables?.appToken, json, {
        granted: ({ access, refresh, accessExpiresAt, refreshExpiresAt }) => ({
          data: {
            renewToken: {
              tokens: {
                accessOrWorkspaceAgnosticToken: { token: access, expiresAt: accessExpiresAt },
                refreshToken: { token: refresh, expiresAt: refreshExpiresAt },
              },
            },
          },
        }),
        rejected: [200, { errors: [{ message: "Not known", extensions: { code: "UNAUTHENTICATED" } }], data: null }],
      });
    } else {
      await this.held;
      this.#call(request, body, json);
    }
  }

  /**
   * @param {import("node:http").IncomingMessage} request
   * @param {any} body
   * @param {(status: number, value: unknown) => void} json
   */
  #call(request, body, json) {
    this.calls++;
    const isBare = request.headers.accept === "*/*" && body.operationName === undefined;
    let block = this.blocks.at(-1);
    if (block?.isBare !== isBare) this.blocks.push((block = { isBare, calls: 0, refused: 0 }));
    block.calls++;
    if (this.fails === (isBare ? "bare" : "client")) {
      json(500, { errors: [{ message: `Not for ${request.headers.authorization}` }] });
      return;
    }
    if (!this.#accepted.has(request.headers.authorization)) {
      this.refused++;
      block.refused++;
      const extensions = { subCode: "UNAUTHENTICATED", code: "UNAUTHENTICATED" };
      const message = this.repeatsTokens ? `${request.headers.authorization} has expired.` : "Token has expired.";
      json(this.#unauthorized, { errors: [{ message, extensions }] });
      this.#refusedAt = process.hrtime.bigint();
      return;
    }
    if (this.#refusedAt) {
      this.#replays.push(Number(process.hrtime.bigint() - this.#refusedAt) / 1000);
      this.#refusedAt = 0n;
    }
    if (body.query.trimStart().startsWith("mutation")) {
      this.mutations++;
      json(200, { data: { createPerson: { id: String(this.mutations) } } });
    } else {
      json(200, { data: { people: { totalCount: 3 } } });
    }
  }

  /**
   * @param {import("node:http").IncomingMessage} request
   * @param {string} refreshToken
   * @param {(status: number, value: unknown) => void} json
   * @param {{ granted: (tokens: ReturnType<Server["signIn"]>) => unknown, rejected: [number, unknown] }} answers
   */
  async #renew(request, refreshToken, json, { granted, rejected }) {
    this.renewals++;
    const drops = this.drops-- > 0;
    await this.held;
    if (drops) request.socket.destroy();
    else if (this.#refreshTokens.has(refreshToken)) json(200, granted(this.#issue()));
    else json(...rejected);
  }
}

/** JSON, or the form in which OAuth 2 asks. @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return Object.fromEntries(new URLSearchParams(text));
  }
}
