import { onChange, signIn, signOut } from "tauri-plugin-graphql-session-api";
import type { SignIn, SignInStep } from "tauri-plugin-graphql-session-api";

import { apollo } from "./apollo";
import { listen } from "./events";
import { graphqlRequest } from "./graphql-request";
import type { Trial } from "./operations";
import { tanstack } from "./tanstack";
import { randomFile, upload } from "./upload";
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

element("send").onclick = () => {
  const sent = element("sent");
  sent.textContent = "…";
  void send().then(
    (text) => (sent.textContent = text),
    (problem: unknown) => (sent.textContent = String(problem)),
  );
};

element("sign-in").onsubmit = (event) => {
  event.preventDefault();
  const [server, email, password] = ["server", "email", "password"].map((id) => element<HTMLInputElement>(id));
  const request = { server: server.value, email: email.value, password: password.value };
  password.value = "";
  begin(request);
};
element("browser").onclick = () => {
  begin({ server: element<HTMLInputElement>("server").value, method: "browser" });
};
element("sign-out").onclick = () => void signOut();

function begin(request: SignIn): void {
  const onStep = (step: SignInStep): undefined => {
    element("status").textContent = step.kind === "browser" ? `Sign in at ${step.url}` : step.kind;
    // One-time codes and workspaces: see examples/minimal.
    if (step.kind !== "browser" && step.kind !== "device")
      throw new Error(`This example does not ask for ${step.kind}.`);
  };
  signIn(request, { onStep }).catch((problem: unknown) => (element("status").textContent = String(problem)));
}

let stopListening: (() => void) | undefined;

await onChange(({ phase, person }) => {
  const isOver = phase === "signed_out" || phase === "ended";
  element("status").textContent = person === undefined ? phase : `${phase}: ${person}`;
  element("status").dataset.phase = phase;
  element("sign-in").hidden = !isOver;
  element("clients").hidden = isOver;
  element("people").hidden = isOver;
  element("sign-out").hidden = isOver;
  if (phase === "signed_in") stopListening ??= listenToPeople();
});

/** Lists the events. The end of a session closes its streams, so the next session starts a new one. */
function listenToPeople(): () => void {
  const write = (text: string) =>
    element("events").append(Object.assign(document.createElement("li"), { textContent: text }));
  return listen({
    event: (action, name) => write(`${action} ${name}`),
    reconnected: () => write("Events may be missing here."),
    over: (problem) => {
      write(String(problem));
      stopListening = undefined;
    },
  });
}

/** A query and a mutation at once: where the token has expired, both wait for one renewal. */
async function run(name: string, { query, mutate }: Trial): Promise<string> {
  const [email, made] = await Promise.all([query(), mutate(name)]);
  return `${email} made ${made}`;
}

/** Sends a file of three slices, and compares what arrived with what was sent. */
async function send(): Promise<string> {
  const { file, sha256 } = await randomFile(3 * 1024 * 1024);
  const arrived = await upload(file);
  const isSame = arrived.size === file.size && arrived.sha256 === sha256;
  return `${arrived.size} bytes arrived ${isSame ? "unchanged" : "changed"}: ${arrived.sha256}`;
}

function element<Kind extends HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found as Kind;
}
