import { createSessionFetch, onChange, SessionError, signIn, signOut } from "tauri-plugin-graphql-session-api";
import type { SignInStep, Status } from "tauri-plugin-graphql-session-api";

/** The API, which is also the authorization server here. */
const SERVER = "http://127.0.0.1:4310";

const ME = "query Me { me { id email } }";

/** A GraphQL client would get this function as its `fetch`. Here it is called directly. */
const sessionFetch = createSessionFetch();

const status = element("status");
const problem = element("problem");
const browser = element("browser");

/** Cancels the sign-in that is under way. */
let cancelling: AbortController | undefined;

element("sign-in").onclick = () => void attempt(signInByBrowser);
element("cancel").onclick = () => cancelling?.abort();
element("ask").onclick = () => void attempt(ask);
element("sign-out").onclick = () => void attempt(() => signOut());

await onChange((now) => {
  status.textContent = sentence(now);
  status.dataset.phase = now.phase;
  const isOver = now.phase === "signed_out" || now.phase === "ended";
  element("signed-out").hidden = !isOver;
  element("signed-in").hidden = isOver;
  element("sign-out").hidden = isOver || now.phase === "opening";
  if (isOver) element("answer").textContent = "";
});

async function signInByBrowser(): Promise<void> {
  const controller = new AbortController();
  cancelling = controller;
  element<HTMLButtonElement>("sign-in").disabled = true;
  try {
    await signIn({ server: SERVER, method: "browser" }, { onStep: show, signal: controller.signal });
  } catch (caught) {
    if (!controller.signal.aborted) throw caught;
  } finally {
    browser.hidden = true;
    element<HTMLButtonElement>("sign-in").disabled = false;
  }
}

/** The browser is open by then, unless that failed: people open the address themselves in that case. */
function show(step: SignInStep): void {
  if (step.kind !== "browser") return;
  browser.hidden = false;
  element<HTMLInputElement>("browser-url").value = step.url;
  element("browser-text").textContent = step.notOpened
    ? "Your browser could not be opened. Open this address in it."
    : "Your browser shows the sign-in page. Come back here when you are done.";
}

async function ask(): Promise<void> {
  const response = await sessionFetch("/graphql", { method: "POST", body: JSON.stringify({ query: ME }) });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  element("answer").textContent = `${data.me.id}, ${data.me.email}`;
}

/** Runs the action of a button, and shows its error. */
async function attempt(work: () => Promise<unknown>): Promise<void> {
  problem.textContent = "";
  delete problem.dataset.code;
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

function element<Kind extends HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found as Kind;
}
