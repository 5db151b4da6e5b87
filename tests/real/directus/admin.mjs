// What an administrator does in Directus, by its REST API.
//
//   node admin.mjs prepare ADDRESS EMAIL PASSWORD    a collection to query, and a person who may read it
//   node admin.mjs suspend ADDRESS EMAIL             that person may no longer sign in
const [, , command, address, email, password] = process.argv;

async function ask(method, path, body, token) {
    const response = await fetch(`${address}${path}`, {
        method,
        headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
        body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text).data : undefined;
}

const { ADMIN_EMAIL, ADMIN_PASSWORD } = process.env;
const { access_token: token } = await ask("POST", "/auth/login", { email: ADMIN_EMAIL, password: ADMIN_PASSWORD, mode: "json" });
if (command === "prepare") {
    await ask("POST", "/collections", { collection: "notes", schema: {}, meta: {} }, token);
    const { role } = await ask("GET", "/users/me?fields=role", undefined, token);
    await ask("POST", "/users", { email, password, role }, token);
} else if (command === "suspend") {
    const filter = encodeURIComponent(JSON.stringify({ email: { _eq: email } }));
    const [{ id }] = await ask("GET", `/users?fields=id&filter=${filter}`, undefined, token);
    await ask("PATCH", `/users/${id}`, { status: "suspended" }, token);
} else {
    throw new Error(`no such command: ${command}`);
}
