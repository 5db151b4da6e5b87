// An authorization server that other people wrote (oidc-provider), with one client, and what its tokens open. The example's
// server and that of tests/real have it in common.
import { Provider } from "oidc-provider";

/** What the application asks for. */
export const SCOPE = "openid offline_access email";

/** A provider with the public client `desktop`. `own` are settings of oidc-provider beside these, or in their place. */
export function createProvider(issuer, accessSeconds, own) {
    return new Provider(issuer, {
        clients: [
            {
                client_id: "desktop",
                application_type: "native",
                token_endpoint_auth_method: "none",
                grant_types: ["authorization_code", "refresh_token"],
                response_types: ["code"],
                // A native client's: any port of this computer.
                redirect_uris: ["http://127.0.0.1/callback"],
            },
        ],
        scopes: SCOPE.split(" "),
        claims: { openid: ["sub"], email: ["email"] },
        conformIdTokenClaims: false,
        issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
        ttl: { AccessToken: accessSeconds, RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 600, IdToken: 60, AuthorizationCode: 60 },
        features: { devInteractions: { enabled: false }, revocation: { enabled: true }, registration: { enabled: true } },
        interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
        ...own,
    });
}

/** Ends the page of a sign-in: this person lets the client in. */
export async function letIn(provider, request, response, accountId) {
    const { prompt, params } = await provider.interactionDetails(request, response);
    const result = { login: { accountId } };
    if (prompt.name === "consent" || prompt.name === "login") {
        const grant = new provider.Grant({ accountId, clientId: params.client_id });
        grant.addOIDCScope(SCOPE);
        result.consent = { grantId: await grant.save() };
    }
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

/** The id of the person whose access token the request brings, if it is still good. */
export async function personOf(provider, request) {
    const text = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    const token = text && (await provider.AccessToken.find(text));
    return token && !token.isExpired ? token.accountId : undefined;
}

export function answer(response, status, body, headers = {}) {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
}
