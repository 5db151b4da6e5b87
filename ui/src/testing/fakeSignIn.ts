/** The sign-ins of the fake host: by password with what may follow, by browser, and by a code on another device. */
import type { Code, SignInMethod, SignInOptions, SignInRequest, SignInStep, StepAnswer } from "../host";
import { FakeError } from "./fakeError";

/** The codes that the server takes: of the authenticator application, and for recovery. */
export const ONE_TIME_CODE = "123456";
export const RECOVERY_CODE = "abcd-ef01";
/** How many one-time codes a person may try. */
const ONE_TIME_CODES = 5;

export const WORKSPACES = [
  { name: "Analytical Engines", origin: "https://engines.demo.example.com" },
  { name: "Crème brûlée", origin: "https://xn--crme-brle-43ae6f.demo.example.com" },
];

const ASKED_FOR_A_CODE = "careful@example.com";
const WITH_TWO_WORKSPACES = "both@example.com";
const WRONG_PEOPLE: { [email: string]: Code } = {
  "nobody@example.com": "unknown_user",
  "refused@example.com": "sign_in_refused",
};

/** What the browser, or the other device, does. */
export const BROWSERS = ["comes back", "does not open", "is closed", "is refused", "times out", "waits"] as const;
export type FakeBrowser = (typeof BROWSERS)[number];

/** How long the browser may take, in seconds. The desktop has this limit, too. */
const EXPIRES_IN_SECONDS = 300;

interface Came {
  server: string;
  person: string | undefined;
}

export class FakeSignIn {
  /** The ways that every server offers, best first, unless its name says something else. */
  methods: SignInMethod[] = ["password"];
  browser: FakeBrowser = "comes back";
  /** How long the person is in the browser, in milliseconds. */
  browserMs = 0;
  /** Who comes back from the browser. It need not say who that is. */
  person: string | undefined = "tim@example.com";
  requests: SignInRequest[] = [];
  /** The answers of the person, in order. */
  answers: StepAnswer[] = [];
  cancelled = 0;

  offer(methods: SignInMethod[]): void {
    this.methods = methods;
  }

  letBrowser(browser: FakeBrowser): void {
    this.browser = browser;
  }

  /** Resolves to who signed in, and where. */
  async run(request: SignInRequest, methods: readonly SignInMethod[], options: SignInOptions): Promise<Came> {
    this.requests.push(request);
    const { signal } = options;
    signal?.throwIfAborted();
    let isOver = false;
    const cancelled = new Promise<never>((_, reject) =>
      signal?.addEventListener("abort", () => {
        if (isOver) return;
        this.cancelled += 1;
        reject(signal.reason as Error);
      }),
    );
    try {
      return await Promise.race([cancelled, this.#goThrough(request, methods, options)]);
    } finally {
      isOver = true;
    }
  }

  #goThrough(request: SignInRequest, methods: readonly SignInMethod[], options: SignInOptions): Promise<Came> {
    const method = request.method ?? (request.password === undefined ? methods[0] : "password");
    if (!method) throw new FakeError("sign_in_refused");
    switch (method) {
      case "password":
        return this.#byPassword(request, options);
      case "browser":
      case "device":
        return this.#elsewhere(request, method, methods, options);
    }
  }

  async #byPassword({ server, email = "", password }: SignInRequest, { onStep }: SignInOptions): Promise<Came> {
    const ask = async (step: SignInStep): Promise<StepAnswer> => {
      const answer = await onStep?.(step);
      if (!answer) throw new FakeError("second_factor_required");
      this.answers.push(answer);
      return answer;
    };
    const wrong = WRONG_PEOPLE[email];
    if (wrong) throw new FakeError(wrong);
    if (password === "wrong") throw new FakeError("wrong_password");
    if (email === ASKED_FOR_A_CODE) {
      for (let tries = 0; ; tries += 1) {
        if (tries === ONE_TIME_CODES) throw new FakeError("sign_in_refused");
        const answer = await ask({ kind: "one_time_code", wasWrong: tries > 0 });
        if ("code" in answer && [ONE_TIME_CODE, RECOVERY_CODE].includes(answer.code)) break;
      }
    }
    if (email !== WITH_TWO_WORKSPACES) return { server, person: email };
    const answer = await ask({ kind: "choose", workspaces: WORKSPACES });
    const chosen = "workspace" in answer ? WORKSPACES[answer.workspace] : undefined;
    if (!chosen) throw new FakeError("invalid_request");
    return { server: chosen.origin, person: email };
  }

  async #elsewhere(
    { server }: SignInRequest,
    method: "browser" | "device",
    methods: readonly SignInMethod[],
    { onStep }: SignInOptions,
  ): Promise<Came> {
    if (!methods.includes(method)) throw new FakeError("browser_unavailable");
    const common = { expiresInSeconds: EXPIRES_IN_SECONDS };
    const url = `${server}/authorize?client_id=demo&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM`;
    const verificationUrl = `${server}/device`;
    const step: SignInStep =
      method === "browser"
        ? { kind: "browser", url, ...common }
        : {
            kind: "device",
            userCode: "WDJB-MJHT",
            verificationUrl,
            completeUrl: `${verificationUrl}?code=WDJB-MJHT`,
            ...common,
          };
    const show = () => void onStep?.(step);
    show();
    if (this.browser === "does not open" && step.kind === "browser") void onStep?.({ ...step, notOpened: true });
    if (this.browser === "waits" || this.browser === "does not open") return new Promise(() => undefined);
    await new Promise((resume) => setTimeout(resume, this.browserMs));
    switch (this.browser) {
      case "comes back":
        return { server, person: this.person };
      case "is closed":
        throw new FakeError("sign_in_cancelled");
      case "is refused":
        throw new FakeError("sign_in_refused");
      case "times out":
        throw new FakeError("sign_in_timed_out");
    }
  }
}
