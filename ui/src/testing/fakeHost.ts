/** A host without Tauri: a session that can be set to each state, with a server in memory. */
import type {
  Code,
  DemoAccount,
  Host,
  JournalEntry,
  Owner,
  Quitting,
  SignInMethod,
  SignInOptions,
  SignInRequest,
  Status,
  UnsentWork,
} from "../host";
import { FakeError } from "./fakeError";
import { FakeServer, type GraphQLBody } from "./fakeServer";
import { FakeSignIn } from "./fakeSignIn";

export const DEMO: DemoAccount = {
  server: "https://demo.example.com",
  email: "tim@example.com",
  password: "open-sesame",
};

/** Addresses and accounts that fail, each with another code. */
export const WRONG: { [part: string]: Code } = {
  "not an address": "invalid_address",
  "nowhere.example.com": "host_not_found",
  "bad-certificate.example.com": "certificate",
  "other.example.com": "not_this_server",
  "silent.example.com": "no_answer",
  "elsewhere.example.com": "not_confirmed",
};
/** Servers that offer other ways to sign in than {@link FakeSignIn.methods}. */
const METHODS: { [part: string]: SignInMethod[] } = {
  "old.example.com": ["password"],
  "browser.example.com": ["browser"],
  "device.example.com": ["device"],
  "nothing.example.com": [],
};

export class FakeHost implements Host {
  readonly server: FakeServer;
  readonly signIns = new FakeSignIn();
  /** How long each answer takes, in milliseconds. */
  delay = 0;
  /** The error with which the next calls fail before they reach the server, and which calls. */
  failure: { code: Code; only?: "mutations" } | undefined;
  /** The HTTP status with which a gateway answers the next calls. */
  gateway: number | undefined;
  /** Called by "Try now". */
  retry: () => void = () =>
    this.set({
      phase: "signed_in",
      nextAttemptAt: undefined,
      unreachable: undefined,
      locked: undefined,
      storage: { state: "saved" },
    });
  windows = 0;
  retries = 0;
  checked: string[] = [];
  /** The person's answers to the question before quitting. */
  answers: ("quit" | "stay")[] = [];
  title = "";
  /** What is kept on the disk, by owner. It outlives the host of a window: hand it to the next one. */
  disk = new Map<string, UnsentWork>();
  /** Makes keeping fail, as a full disk does. */
  diskIsFull = false;
  status: Status = {
    account: "default",
    revision: 1,
    phase: "signed_in",
    server: DEMO.server,
    person: DEMO.email,
    storage: { state: "saved" },
  };
  #listeners = new Set<(status: Status) => void>();
  #quitting = new Set<(lost: Quitting) => void>();
  #journal: JournalEntry[] = [];

  constructor(status: Partial<Status> = {}, server = new FakeServer()) {
    this.server = server;
    this.status = { ...this.status, ...status };
    this.#note("signed_in", { protocol: "twenty" });
  }

  /** Makes the next calls fail with this error before they reach the server. */
  failWith(code: Code | undefined): void {
    this.failure = code && { code };
  }

  /** Moves to another state, as if the core had published it. */
  set(change: Partial<Status>): void {
    const was = this.status.phase;
    this.status = { ...this.status, ...change, revision: this.status.revision + 1 };
    const what = change.phase && change.phase !== was ? WHAT[change.phase] : undefined;
    if (what) this.#note(what, { revision: this.status.revision });
    for (const listener of this.#listeners) listener(this.status);
  }

  onChange = async (listener: (status: Status) => void) => {
    // A new function for each: the same listener may be added twice.
    const own = (status: Status) => listener(status);
    this.#listeners.add(own);
    listener(this.status);
    return () => void this.#listeners.delete(own);
  };

  checkServer = async (address: string, options: { mayAsk?: boolean } = {}) => {
    this.checked.push(address);
    await this.#pause();
    refuse(address, options.mayAsk);
    return { origin: address, protocol: "twenty", methods: this.methodsOf(address) };
  };

  methodsOf(address: string): SignInMethod[] {
    const other = Object.entries(METHODS).find(([part]) => address.includes(part));
    return other ? other[1] : this.signIns.methods;
  }

  signIn = async (request: SignInRequest, options: SignInOptions = {}) => {
    await this.#pause();
    refuse(request.server);
    const came = await this.signIns.run(request, this.methodsOf(request.server), options);
    this.failure = undefined;
    this.set({
      phase: "signed_in",
      ...came,
      ending: undefined,
      nextAttemptAt: undefined,
      locked: undefined,
    });
    return this.status;
  };

  signOut = async () => {
    this.set({ phase: "signed_out", ending: undefined, nextAttemptAt: undefined });
    return this.status;
  };

  retryNow = async () => {
    this.retries += 1;
    await this.#pause();
    this.failure = undefined;
    this.retry();
    return this.status;
  };

  journal = async () => this.#journal;

  diagnostics = async () => `phase: ${this.status.phase}`;

  fetch: typeof fetch = async (input, init) => {
    const endpoint = String(input instanceof Request ? input.url : input)
      .split("/")
      .at(-1)!;
    const body = JSON.parse(String(init?.body)) as GraphQLBody;
    await this.#pause();
    const mutation = body.query.trimStart().startsWith("mutation");
    if (this.failure && (this.failure.only !== "mutations" || mutation)) throw new FakeError(this.failure.code);
    if (this.status.phase === "ended" || this.status.phase === "signed_out") throw new FakeError("signed_out");
    if (this.gateway !== undefined)
      return new Response("<html>Service Unavailable</html>", {
        status: this.gateway,
        headers: { "content-type": "text/html" },
      });
    const answer = await this.server.answer(endpoint, body);
    return new Response(JSON.stringify(answer), { status: 200, headers: { "content-type": "application/json" } });
  };

  openWindow = async () => {
    this.windows += 1;
  };

  setTitle = async (title: string) => {
    this.title = title;
    document.title = title;
  };

  /** Closes the last window, which asks the person whether to quit. */
  close(): void {
    const lost = { session: this.status.storage.state === "not_saved", edits: this.diskIsFull };
    for (const listener of this.#quitting) listener(lost);
  }

  onQuitting = async (listener: (lost: Quitting) => void) => {
    const own = (lost: Quitting) => listener(lost);
    this.#quitting.add(own);
    return () => void this.#quitting.delete(own);
  };

  quit = async () => {
    this.answers.push("quit");
  };

  stay = async () => {
    this.answers.push("stay");
  };

  keepUnsent = async (owner: Owner, work: UnsentWork) => {
    if (this.diskIsFull) throw new Error("No space left on the disk.");
    // A copy, as through a file.
    this.disk.set(ownerKey(owner), JSON.parse(JSON.stringify(work)) as UnsentWork);
  };

  takeUnsent = async (owner: Owner) => this.disk.get(ownerKey(owner)) ?? { edits: [], drafts: [] };

  forgetUnsent = async (owner: Owner) => void this.disk.delete(ownerKey(owner));

  onUnsent = async () => () => undefined;

  defaults = async () => ({ demo: DEMO });

  #pause(): Promise<void> {
    return this.delay > 0 ? new Promise((resume) => setTimeout(resume, this.delay)) : Promise.resolve();
  }

  #note(what: JournalEntry["what"], facts: JournalEntry["facts"]): void {
    this.#journal.push({ at: Date.now(), what, facts });
  }
}

export const ownerKey = ({ server, person }: Owner) => `${person} at ${server}`;

const WHAT: Partial<Record<Status["phase"], JournalEntry["what"]>> = {
  signed_out: "signed_out",
  renewing: "attempt_sent",
  signed_in: "renewed",
  unreachable: "waiters_told",
  ended: "ended",
};

/** With `mayAsk`, the person confirms another server than so far. */
function refuse(address: string, mayAsk = false): void {
  for (const [part, code] of Object.entries(WRONG))
    if (address.includes(part) && !(mayAsk && code === "not_confirmed")) throw new FakeError(code);
}
