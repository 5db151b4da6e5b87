import { abortable, throwIfAborted } from "./aborting.js";
import { call } from "./command.js";
import { SessionError } from "./error.js";
import { newId } from "./id.js";
import type { SignInMethod, SignInStep, Status, StepAnswer } from "./types.js";

/** The first parameter of {@link signIn}. */
export interface SignIn {
  /** The server's address, such as `https://crm.example.com`. */
  server: string;
  /**
   * How to sign in. Default: by `password` where `email` and `password` are given, else in the best way that the server
   * offers.
   */
  method?: SignInMethod;
  /** Answers the step `password` once, in place of `onStep`. Only together with `password`. */
  email?: string;
  /** Answers the step `password` once, in place of `onStep`. Only together with `email`. */
  password?: string;
  /** The account to sign in. Default: the window's own. */
  account?: string;
}

/** The second parameter of {@link signIn}. */
export interface SignInOptions {
  /**
   * Called for each step. What it returns, or resolves to, answers the step. For `browser` and `device` that is nothing:
   * the sign-in goes on by itself, and does not wait for it. Where it throws or rejects, the sign-in is cancelled.
   */
  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a function that only shows a step returns nothing
  onStep?: (step: SignInStep) => StepAnswer | void | Promise<StepAnswer | void>;
  /** Cancels the sign-in. */
  signal?: AbortSignal;
}

/** Answer of `sign_in` and `answer_sign_in`. */
type Progress = { number: number; step: SignInStep } | { status: Status };

/**
 * Signs in. The tokens stay in the application's process, and the application opens the browser itself. Needs the permission
 * set `graphql-session:sign-in`.
 *
 * Until it resolves, nothing has changed: a session that was there before is still there. A window has one sign-in at a time: a
 * second one cancels the first. A step is answered within five minutes (the setting `limits.signInTimeoutMs`). Where the
 * account has used another server so far, the person is asked first, in a dialog outside of the page. At most 10 sign-ins a
 * minute are made; an e-mail address has 254 bytes at most, a password 1,024, a one-time code 128.
 *
 * @param request - the server, and how to sign in there
 * @param options - what to do at each step, and how to cancel
 * @returns the status after signing in
 * @throws SessionError `wrong_password`, `unknown_user`, `sign_in_refused`, `sign_in_cancelled`, `sign_in_timed_out`,
 * `browser_unavailable`, and the codes of {@link checkServer}; `second_factor_required` where the server asks for more than
 * a password and there is no `onStep`. The signal's reason, where it aborts; what `onStep` throws.
 * @example In the browser, where the server offers that
 * ```ts
 * await signIn({ server }, {
 *   onStep: async (step) => {
 *     if (step.kind === "browser") showLink(step.url);
 *     if (step.kind === "one_time_code") return { code: await askForCode(step.wasWrong) };
 *   },
 *   signal: cancelButton.signal,
 * });
 * ```
 * @example With a password
 * ```ts
 * await signIn({ server, email, password });
 * ```
 */
export async function signIn(request: SignIn, options: SignInOptions = {}): Promise<Status> {
  throwIfAborted(options.signal);
  const signInId = newId();
  const cancel = (): void => {
    // Where this fails, the application has no such sign-in any more.
    call("cancel_sign_in", { signInId }).catch(() => undefined);
  };
  const outcome = goThrough(signInId, request, options).catch((problem: unknown) => {
    if (!options.signal?.aborted) cancel();
    throw problem;
  });
  return abortable(outcome, options.signal, cancel);
}

async function goThrough(signInId: string, request: SignIn, { onStep, signal }: SignInOptions): Promise<Status> {
  const { server, account, email, password } = request;
  let login = email !== undefined && password !== undefined ? { email, password } : undefined;
  const method = request.method ?? (login && "password");
  let progress = await call<Progress>("sign_in", { signInId, server, method, account });
  while ("step" in progress) {
    throwIfAborted(signal);
    const { number, step } = progress;
    const next = (answer?: StepAnswer): Promise<Progress> => call("answer_sign_in", { signInId, number, answer });
    if (step.kind === "password" && login) {
      progress = await next(login);
      login = undefined;
    } else if (step.kind === "browser" || step.kind === "device") {
      if (!onStep && !(step.kind === "browser" && !step.notOpened)) throw nobodyIsShown(step);
      progress = await Promise.race([next(), failureOf(onStep?.(step))]);
    } else {
      const answer = await onStep?.(step);
      if (!answer) throw nobodyIsShown(step);
      throwIfAborted(signal);
      progress = await next(answer);
    }
  }
  return progress.status;
}

/** Rejects where showing a step failed, and otherwise never settles. */
async function failureOf(shown: unknown): Promise<never> {
  await shown;
  return new Promise(() => undefined);
}

function nobodyIsShown({ kind }: SignInStep): SessionError {
  if (kind === "browser") {
    return new SessionError("browser_unavailable", "No browser could be opened. Sign in another way.");
  }
  return new SessionError(
    "second_factor_required",
    `The server asks for more (${kind}), and this page does not ask its person for it. Sign in another way.`,
  );
}
