// The example's server: oidc-provider with a sign-in page of its own, and a GraphQL API that takes its tokens.
//
//   PORT=4310 ACCESS_SECONDS=60 node server.mjs
//
// Everything is in memory: after a restart, people sign in again. Prints READY when it listens.
import { createServer } from "node:http";
import { buildSchema, graphql } from "graphql";
import { answer, createProvider, letIn, personOf } from "./provider.mjs";

const port = Number(process.env.PORT ?? 4310);
const issuer = `http://127.0.0.1:${port}`;
const provider = createProvider(issuer, Number(process.env.ACCESS_SECONDS ?? 60), {
    cookies: { keys: ["a key for an example on this computer"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: emailOf(id) }) }),
    rotateRefreshToken: true,
});

/** Two people are enough to see that another one can sign in. Neither has a password. */
const PEOPLE = ["ada", "grace"];

const schema = buildSchema("type Query { me: Person! } type Person { id: ID! email: String! }");

const STYLE = ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:30rem;margin:2rem auto;padding:0 1rem}";

function emailOf(id) {
    return `${id}@example.com`;
}

function page(body) {
    return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in</title><style>${STYLE}</style><main>${body}</main></html>`;
}

/** The page on which a person says who they are, and lets the application in or not. */
async function interact(request, response) {
    if (request.method !== "POST") {
        await provider.interactionDetails(request, response);
        const people = PEOPLE.map((id, at) => `<p><label><input type="radio" name="person" value="${id}"${at === 0 ? " checked" : ""}> ${emailOf(id)}</label></p>`);
        const buttons = `<button name="answer" value="allow">Sign in and allow</button> <button name="answer" value="refuse">Refuse</button>`;
        response.writeHead(200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" });
        response.end(page(`<h1>Sign in</h1><p>The application asks for your e-mail address.</p><form method="post">${people.join("")}${buttons}</form>`));
        return;
    }
    const form = new URLSearchParams(await bodyOf(request));
    const person = form.get("person");
    if (form.get("answer") === "allow" && PEOPLE.includes(person)) return letIn(provider, request, response, person);
    const refusal = { error: "access_denied", error_description: "The person refused." };
    return provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
}

/** The API: one query, for those who bring a good access token. */
async function call(request, response) {
    const id = await personOf(provider, request);
    if (!id) return answer(response, 401, { errors: [{ message: "Sign in first.", extensions: { code: "UNAUTHENTICATED" } }] });
    const { query, variables, operationName } = JSON.parse(await bodyOf(request));
    const rootValue = { me: { id, email: emailOf(id) } };
    answer(response, 200, await graphql({ schema, source: query, variableValues: variables, operationName, rootValue }));
}

async function bodyOf(request) {
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
    return text;
}

const handle = provider.callback();
const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, issuer);
    try {
        if (pathname.startsWith("/interaction/")) return await interact(request, response);
        if (pathname === "/graphql" && request.method === "POST") return await call(request, response);
    } catch (error) {
        // A page that is over, or a body that is not JSON.
        return answer(response, 400, { errors: [{ message: error.message, extensions: { code: "BAD_REQUEST" } }] });
    }
    handle(request, response);
});
server.listen(port, "127.0.0.1", () => console.log("READY"));
