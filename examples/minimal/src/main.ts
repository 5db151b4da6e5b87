import {
  createSessionFetch,
  onChange,
  retryNow,
  SessionError,
  signIn,
  signOut,
} from "tauri-plugin-graphql-session-api";
import type { SignIn, SignInStep, Status, StepAnswer } from "tauri-plugin-graphql-session-api";

const PEOPLE = "query People { people(first: 20) { edges { node { id name { firstName lastName } } } } }";

interface Person {
  id: string;
  name: { firstName: string; lastName: string };
}

/** A GraphQL client would get this function as its `fetch`. Here it is called directly. */
const sessionFetch = createSessionFetch();

const status = element("status");
const form = element<HTMLFormElement>("sign-in");
const people = element("people");
const problem = element("problem");

form.onsubmit = (event) => {
  event.preventDefault();
  const password = element<HTMLInputElement>("password");
  const request = { server: value("server"), email: value("email"), password: password.value };
  password.value = "";
  void attempt(() => begin(request));
};
element("browser").onclick = () => void attempt(() => begin({ server: value("server"), method: "browser" }));
element("reload").onclick = () => void attempt(load);
element("try-now").onclick = () => void attempt(() => retryNow());
element("sign-out").onclick = () => void attempt(() => signOut());

let loaded = false;
await onChange((now) => {
  status.textContent = sentence(now);
  status.dataset.phase = now.phase;
  const isOver = now.phase === "signed_out" || now.phase === "ended";
  form.hidden = !isOver;
  people.hidden = isOver;
  element("sign-out").hidden = isOver || now.phase === "opening";
  element("try-now").hidden = now.phase !== "unreachable" && now.phase !== "locked";
  if (isOver) {
    element("list").replaceChildren();
    loaded = false;
  } else if (now.phase === "signed_in" && !loaded) {
    loaded = true;
    void attempt(load);
  }
});

/** Signs in step by step, until the person is done or cancels. */
async function begin(request: SignIn): Promise<void> {
  const leaving = new AbortController();
  element("cancel").onclick = () => leaving.abort();
  form.hidden = true;
  try {
    await signIn(request, { onStep: show, signal: leaving.signal });
  } catch (caught) {
    form.hidden = false;
    if (!leaving.signal.aborted) throw caught;
  } finally {
    element("step").hidden = true;
  }
}

/** Shows a step, and resolves to its answer. */
function show(step: SignInStep): Promise<StepAnswer> | undefined {
  element("step").hidden = false;
  element("step").dataset.kind = step.kind;
  element("code-label").hidden = step.kind !== "one_time_code";
  element("choices").replaceChildren();
  const say = (text: string) => (element("asked").textContent = text);
  switch (step.kind) {
    case "browser":
      say(step.notOpened ? `No browser opened. Open this address: ${step.url}` : "Finish signing in in your browser.");
      return undefined;
    case "device":
      say(`Open ${step.verificationUrl} on any device and type ${step.userCode}.`);
      return undefined;
    case "one_time_code":
      say(step.wasWrong ? "That code was wrong. Type the next one." : "Type the code of your authenticator.");
      return askForCode();
    case "choose":
      say("Choose a workspace.");
      return new Promise((resolve) =>
        element("choices").append(
          ...step.workspaces.map(({ name }, workspace) => {
            const choice = Object.assign(document.createElement("button"), { type: "button", textContent: name });
            choice.onclick = () => resolve({ workspace });
            return choice;
          }),
        ),
      );
    case "password":
      throw new Error("This server asks for a password. Type it into the form.");
  }
}

function askForCode(): Promise<StepAnswer> {
  const code = element<HTMLInputElement>("code");
  code.value = "";
  code.focus();
  return new Promise((resolve) => {
    element("step").onsubmit = (event) => {
      event.preventDefault();
      resolve({ code: code.value.trim() });
    };
  });
}

async function load(): Promise<void> {
  const response = await sessionFetch("/graphql", { method: "POST", body: JSON.stringify({ query: PEOPLE }) });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  const persons: Person[] = data.people.edges.map((edge: { node: Person }) => edge.node);
  element("list").replaceChildren(
    ...persons.map(({ name }) => {
      const item = document.createElement("li");
      item.textContent = `${name.firstName} ${name.lastName}`;
      return item;
    }),
  );
}

/** Runs the action of a button, and shows its error. */
async function attempt(work: () => Promise<unknown>): Promise<void> {
  problem.textContent = "";
  try {
    await work();
  } catch (caught) {
    problem.textContent = caught instanceof Error ? caught.message : String(caught);
    if (caught instanceof SessionError) problem.dataset.code = caught.code;
  }
}

function sentence({ phase, person, server, ending }: Status): string {
  switch (phase) {
    case "opening":
      return "Looking for your session …";
    case "signed_out":
      return "Signed out";
    case "signed_in":
    case "renewing":
      return `${person ?? "Signed in"} at ${server ?? "the server"}`;
    case "unreachable":
      return "The server is out of reach. You are still signed in.";
    case "locked":
      return "Your keyring is locked. Unlock it, then try again.";
    case "ended":
      return `Your session is over (${ending?.reason ?? "unknown"}). Sign in again.`;
    case "stopped":
      return "The session stopped working. Start the application again: you stay signed in.";
  }
}

function value(id: string): string {
  return element<HTMLInputElement>(id).value;
}

function element<Kind extends HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found as Kind;
}
