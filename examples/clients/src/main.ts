import { onChange, signIn, signOut } from "tauri-plugin-graphql-session-api";

import { apollo } from "./apollo";
import { graphqlRequest } from "./graphql-request";
import type { Trial } from "./operations";
import { tanstack } from "./tanstack";
import { urql } from "./urql";

const trials: Record<string, Trial> = { apollo, urql, "graphql-request": graphqlRequest, tanstack };

for (const [name, trial] of Object.entries(trials)) {
  const result = element(name);
  element(`run-${name}`).onclick = () => {
    result.textContent = "…";
    void run(name, trial).then(
      (text) => (result.textContent = text),
      (problem: unknown) => (result.textContent = String(problem)),
    );
  };
}

element("sign-in").onsubmit = (event) => {
  event.preventDefault();
  const [server, email, password] = ["server", "email", "password"].map((id) => element<HTMLInputElement>(id));
  const person = { server: server.value, email: email.value, password: password.value };
  password.value = "";
  signIn(person).catch((problem: unknown) => (element("status").textContent = String(problem)));
};
element("sign-out").onclick = () => void signOut();

await onChange(({ phase, person }) => {
  const isOver = phase === "signed_out" || phase === "ended";
  element("status").textContent = person === undefined ? phase : `${phase}: ${person}`;
  element("status").dataset.phase = phase;
  element("sign-in").hidden = !isOver;
  element("clients").hidden = isOver;
  element("sign-out").hidden = isOver;
});

/** A query and a mutation at once: where the token has expired, both wait for one renewal. */
async function run(name: string, { query, mutate }: Trial): Promise<string> {
  const [email, made] = await Promise.all([query(), mutate(name)]);
  return `${email} made ${made}`;
}

function element<Kind extends HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found as Kind;
}
