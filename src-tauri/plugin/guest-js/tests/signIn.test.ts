import { beforeEach, expect, it, vi } from "vitest";

import { signIn } from "../index.js";
import type { SignInStep, StepAnswer } from "../index.js";
import { Host, rejectionOf, settle, statusOf } from "./host.js";

const SERVER = "https://crm.example.com";
const BROWSER: SignInStep = { kind: "browser", url: `${SERVER}/authorize?state=s`, expiresInSeconds: 300 };
const CODE: SignInStep = { kind: "one_time_code", wasWrong: false };
const CHOICE: SignInStep = { kind: "choose", workspaces: [{ name: "Apple", origin: SERVER }] };
const DEVICE: SignInStep = {
  kind: "device",
  userCode: "ABCD-EFGH",
  verificationUrl: `${SERVER}/device`,
  expiresInSeconds: 600,
};
const LOGIN = { email: "ada@example.com", password: "correct horse" };

interface Answered {
  signInId: string;
  number: number;
  answer?: StepAnswer;
}

let host: Host;

beforeEach(() => {
  host = new Host();
  host.on("cancel_sign_in", () => null);
});

/** A sign-in with these steps, and then its end. */
function steps(...shown: SignInStep[]): void {
  const at = (index: number): unknown => {
    const step = shown[index];
    return step ? { number: index + 1, step } : { status: statusOf({ person: "ada" }) };
  };
  host.on("sign_in", () => at(0));
  host.on("answer_sign_in", ({ args }) => at((args as unknown as Answered).number));
}

function answers(): (StepAnswer | undefined)[] {
  return host.asked("answer_sign_in").map(({ args }) => (args as unknown as Answered).answer);
}

function begun(): unknown {
  const { signInId, ...rest } = host.asked("sign_in")[0]?.args as Record<string, unknown>;
  expect(signInId).toMatch(/^[0-9a-f]{32}$/);
  return rest;
}

it("an e-mail address and a password answer the step that asks for them, and the page is not asked", async () => {
  steps({ kind: "password" });
  const onStep = vi.fn();
  await expect(signIn({ server: SERVER, ...LOGIN }, { onStep })).resolves.toMatchObject({ person: "ada" });
  expect(begun()).toEqual({ server: SERVER, method: "password", account: undefined });
  expect(answers()).toEqual([LOGIN]);
  expect(onStep).not.toHaveBeenCalled();
});

it("without a password the server's best way is taken, and the account is passed on", async () => {
  steps();
  await signIn({ server: SERVER, account: "work" });
  expect(begun()).toEqual({ server: SERVER, method: undefined, account: "work" });
});

it("each step is shown once, and answered under its number and the same id", async () => {
  steps({ kind: "password" }, CODE, CHOICE);
  const shown: string[] = [];
  const onStep = async (step: SignInStep): Promise<StepAnswer> => {
    shown.push(step.kind);
    await settle();
    if (step.kind === "password") return LOGIN;
    return step.kind === "choose" ? { workspace: 0 } : { code: "123456" };
  };
  await signIn({ server: SERVER, method: "password" }, { onStep });
  expect(shown).toEqual(["password", "one_time_code", "choose"]);
  expect(answers()).toEqual([LOGIN, { code: "123456" }, { workspace: 0 }]);
  const invokes = [...host.asked("sign_in"), ...host.asked("answer_sign_in")];
  const ids = invokes.map(({ args }) => (args as unknown as Answered).signInId);
  expect(new Set(ids).size).toBe(1);
});

it.each([BROWSER, DEVICE])("while $kind goes on by itself, nobody waits for the page", async (step) => {
  steps(step);
  const onStep = vi.fn(() => new Promise<undefined>(() => undefined));
  await signIn({ server: SERVER }, { onStep });
  expect(onStep).toHaveBeenCalledWith(step);
  expect(answers()).toEqual([undefined]);
});

it("the second question for a password goes to the page", async () => {
  steps({ kind: "password" }, { kind: "password" });
  const other = { email: "ada@example.com", password: "another horse" };
  await signIn({ server: SERVER, ...LOGIN }, { onStep: () => other });
  expect(answers()).toEqual([LOGIN, other]);
});

it.each([
  [CODE, "second_factor_required"],
  [CHOICE, "second_factor_required"],
  [DEVICE, "second_factor_required"],
  [{ kind: "password" } as const, "second_factor_required"],
  [{ ...BROWSER, notOpened: true } as const, "browser_unavailable"],
])("a page that shows no steps cancels at $kind", async (step, code) => {
  steps(step);
  await expect(signIn({ server: SERVER })).rejects.toMatchObject({ name: "SessionError", code });
  expect(host.count("cancel_sign_in")).toBe(1);
  expect(host.count("answer_sign_in")).toBe(0);
});

it("a page that shows no steps still signs in by browser", async () => {
  steps(BROWSER);
  await expect(signIn({ server: SERVER })).resolves.toMatchObject({ phase: "signed_in" });
});

it.each([CODE, BROWSER])("a page that fails at $kind cancels, and its error comes back", async (step) => {
  steps(step);
  host.on("answer_sign_in", () => new Promise(() => undefined));
  const broken = new Error("broken");
  const onStep = (): Promise<never> => Promise.reject(broken);
  expect(await rejectionOf(signIn({ server: SERVER }, { onStep }))).toBe(broken);
  expect(host.count("cancel_sign_in")).toBe(1);
});

it("a rejection keeps its code", async () => {
  host.rejects("sign_in", { code: "not_confirmed", message: "Nobody has confirmed it." });
  await expect(signIn({ server: SERVER, ...LOGIN })).rejects.toMatchObject({ code: "not_confirmed" });
});

it("a signal cancels at once, with its reason, and by the same id", async () => {
  steps(BROWSER);
  host.on("answer_sign_in", () => new Promise(() => undefined));
  const leaving = new AbortController();
  const outcome = rejectionOf(signIn({ server: SERVER }, { onStep: () => undefined, signal: leaving.signal }));
  await vi.waitUntil(() => host.count("answer_sign_in") === 1);
  leaving.abort();
  expect(await outcome).toMatchObject({ name: "AbortError" });
  await settle();
  expect(host.count("cancel_sign_in")).toBe(1);
  const [begin, cancel] = [host.asked("sign_in")[0], host.asked("cancel_sign_in")[0]];
  expect(cancel?.args).toEqual({ signInId: (begin?.args as unknown as Answered).signInId });
});

it("after a signal no further step is shown or answered", async () => {
  let arrive: (progress: unknown) => void = () => undefined;
  host.on("sign_in", () => new Promise((resolve) => (arrive = resolve)));
  const leaving = new AbortController();
  const onStep = vi.fn();
  const outcome = rejectionOf(signIn({ server: SERVER }, { onStep, signal: leaving.signal }));
  await vi.waitUntil(() => host.count("sign_in") === 1);
  leaving.abort();
  arrive({ number: 1, step: CODE });
  await outcome;
  await settle();
  expect(onStep).not.toHaveBeenCalled();
  expect(host.count("answer_sign_in")).toBe(0);
});

it("a signal that has aborted before begins nothing", async () => {
  const left = AbortSignal.abort();
  expect(await rejectionOf(signIn({ server: SERVER }, { signal: left }))).toMatchObject({ name: "AbortError" });
  expect(host.invokes).toEqual([]);
});
