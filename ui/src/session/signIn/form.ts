/** What is typed into the sign-in form, what is wrong with it, and which ways to sign in it shows. */
import type { Code, SignInMethod } from "../../host";
import { signIn as words } from "../../messages";

export type FieldName = "server" | "email" | "password";
export type Typed = Record<FieldName, string>;

/** Most characters of each field: what the desktop takes, in bytes. */
export const LONGEST: Record<FieldName, number> = { server: 2048, email: 254, password: 1024 };

export interface Problem {
  text: string;
  code?: Code;
}

/** Each at its field; the others above the button of the way that was tried. */
export type Problems = Partial<Record<FieldName, Problem>> & { way?: Problem & { tried: SignInMethod } };

/** The field that shows an error. */
const PLACE: Partial<Record<Code, FieldName>> = {
  not_confirmed: "server",
  invalid_address: "server",
  host_not_found: "server",
  certificate: "server",
  not_this_server: "server",
  leads_elsewhere: "server",
  no_answer: "server",
  unreachable: "server",
  unknown_user: "email",
  wrong_password: "password",
};

/** An error, where it is shown after a sign-in in this way. */
export function placed(problem: Problem, tried: SignInMethod): Problems {
  const field = problem.code && PLACE[problem.code];
  const isShown = field === "server" || (field && tried === "password");
  return isShown ? { [field]: problem } : { way: { ...problem, tried } };
}

/** What is missing for a sign-in in this way. */
export function missingIn(typed: Typed, way: SignInMethod): Problems {
  const missing: Problems = {};
  if (!typed.server.trim()) missing.server = { text: words.missingServer };
  if (way !== "password") return missing;
  if (!typed.email.trim()) missing.email = { text: words.missingEmail };
  if (!typed.password) missing.password = { text: words.missingPassword };
  return missing;
}

/** The first field with a problem. */
export const firstWrong = (problems: Problems): FieldName | undefined =>
  (["server", "email", "password"] as const).find((name) => problems[name]);

/** The ways that the form shows. */
export interface ShownWays {
  /** The first choice, which needs nothing typed but the address. */
  first?: "browser" | "device";
  password: boolean;
}

/** Before a server was checked, and at one that offers nothing, the form is that of a password. */
export function shownWays(methods: readonly SignInMethod[] | undefined): ShownWays {
  if (!methods || methods.length === 0) return { password: true };
  const first = (["browser", "device"] as const).find((way) => methods.includes(way));
  return { first, password: methods.includes("password") };
}
