/** The status of a session: the answer of the command `status`. */
export interface Status {
  /** The account that the session belongs to. An application may have several. */
  account: string;
  /** The number of published changes in this process. A status with a lower one is older. */
  revision: number;
  phase: Phase;
  /** Origin of the server, such as `https://crm.example.com`; absent before the first sign-in. */
  server?: string;
  /** E-mail address of the person, where it is known. */
  person?: string;
  storage: Storage;
  /** Why and when the session ended. Present in the phase `ended`. */
  ending?: Ending;
  /** When the next attempt is due, in milliseconds since 1970. Present in the phase `unreachable`. */
  nextAttemptAt?: number;
  /**
   * What the session waits for in the phase `unreachable`: the server, another process that holds the lock, or the state
   * folder, which does not answer or gives no lock where the settings ask for one.
   */
  unreachable?: "server" | "held_by_other_process" | "state_folder";
  /** Why the last attempt failed. Present in the phase `unreachable`. */
  cause?: Cause;
  /**
   * Why the state folder does not do its part. `no_lock_...`: other processes of the application may renew at the same time.
   * `files_...`: they, and the next start, may not learn what happens here. Absent while all is well.
   */
  files?: Cause;
  /** Why the stored session cannot be read. Present in the phase `locked`. */
  locked?:
    | "keyring_locked"
    | "keyring_missing"
    | "keyring_locked_or_cleared"
    | "keyring_failed"
    | "keyring_other_folder"
    | "keyring_other_server"
    | "files_unreadable";
  /**
   * Present where others on the network can read the password and all data: plain `http` to a server that the setting
   * `allowInsecure` names. A screen should say so all the time.
   */
  insecure?: true;
}

/**
 * - `opening`: the stored session is being read
 * - `signed_out`: nobody is signed in, for example after the person's own sign-out
 * - `signed_in`: calls are sent
 * - `renewing`: calls wait for a renewal
 * - `unreachable`: a renewal, or a call, got no answer; still signed in, attempts go on
 * - `locked`: a session is stored, but the keyring does not give it
 * - `ended`: the session is over, see `ending`
 * - `stopped`: the application's own task is gone, by a defect: every call fails with `internal`, and a new start helps
 */
export type Phase =
  "opening" | "signed_out" | "signed_in" | "renewing" | "unreachable" | "locked" | "ended" | "stopped";

/** Whether the credentials would survive a restart. */
export interface Storage {
  state: "saved" | "not_saved";
  /** Present with `not_saved`. */
  reason?:
    | "keyring_locked"
    | "keyring_missing"
    | "keyring_slow"
    | "keyring_failed"
    | "keyring_other_folder"
    | "keyring_other_server"
    | "too_long";
}

/** Why a session is over, and since when. */
export interface Ending {
  reason: "rejected" | "lost_answer" | "unreachable_too_long" | "signed_out";
  /** Milliseconds since 1970. */
  at: number;
  /** What the server said, where this process heard it. */
  cause?: Cause;
}

/**
 * Why an attempt, a call or a session came out as it did: one word of a closed list that only grows, such as `dns`,
 * `timeout`, `http_503` or `graphql_UNAUTHENTICATED`. It never holds text of a server or a person. The list is in
 * `docs/signed-out.md`.
 */
export type Cause = string;

/** Every error code. The list is closed, so that a screen can have a text for each. */
export type Code =
  | "signed_out"
  | "unreachable"
  | "access_denied"
  | "timed_out"
  | "cancelled"
  | "maybe_executed"
  | "already_ran"
  | "too_many_calls"
  | "not_confirmed"
  | "too_large"
  | "upload_broken"
  | "invalid_request"
  | "locked"
  | "wrong_password"
  | "unknown_user"
  | "second_factor_required"
  | "sign_in_refused"
  | "sign_in_cancelled"
  | "sign_in_timed_out"
  | "browser_unavailable"
  | "invalid_address"
  | "host_not_found"
  | "certificate"
  | "not_this_server"
  | "leads_elsewhere"
  | "no_answer"
  | "config"
  | "internal";

/** The rejection of a command. */
export interface SessionErrorShape {
  code: Code;
  /** One sentence that says what to do next. */
  message: string;
  /** When a retry makes sense, in milliseconds from now. Absent where that is not known. */
  retryAfterMs?: number;
  /** The origin to which the address leads, with the code `leads_elsewhere`. */
  leadsTo?: string;
}

/** Answer of `check_server`. */
export interface ServerCheck {
  /** The origin, as the session would use it. */
  origin: string;
  /** The protocol of the server, such as `twenty`. */
  protocol: string;
  /** The ways to sign in that the server offers, best first. */
  methods: SignInMethod[];
}

/** A way to sign in: in the person's browser, by a password, or by a code that is typed on any device. */
export type SignInMethod = "browser" | "password" | "device";

/**
 * What a person has to do in a sign-in.
 *
 * - `password`: type an e-mail address and a password
 * - `browser`: sign in in the browser, which the application has opened at `url`. With `notOpened` it could not: show the
 *   address, so that the person can copy it
 * - `one_time_code`: type the code that an authenticator application shows, or a recovery code. `wasWrong`: the one before it
 *   was wrong or too old. After five wrong ones the sign-in is over
 * - `choose`: choose one of the workspaces, by its place in the list
 * - `device`: open `verificationUrl` on any device and type `userCode` there. `completeUrl` has the code in it
 *
 * A new step replaces the one before it. Steps with `expiresInSeconds` end by themselves then.
 */
export type SignInStep =
  | { kind: "password" }
  | { kind: "browser"; url: string; expiresInSeconds: number; notOpened?: true }
  | { kind: "one_time_code"; wasWrong: boolean }
  | { kind: "choose"; workspaces: Workspace[] }
  | { kind: "device"; userCode: string; verificationUrl: string; completeUrl?: string; expiresInSeconds: number };

/** A workspace that the person may sign in to. */
export interface Workspace {
  name: string;
  /** Its origin; international names in Punycode. */
  origin: string;
}

/** What a person answers to the steps `password`, `one_time_code` and `choose`: there, a place in the list, from 0. */
export type StepAnswer = { email: string; password: string } | { code: string } | { workspace: number };

/** One entry of the journal. It never holds a secret. */
export interface JournalEntry {
  /** Milliseconds since 1970. */
  at: number;
  what: JournalWord;
  /** Facts beside it: numbers and words only. Those of a `renewal` are {@link RenewalFacts}. */
  facts: Record<string, string | number | boolean | RenewalAttempt[]>;
}

/** What happened. `renewal` sums up one renewal when it is over; each of the others is one step. */
export type JournalWord =
  | "opened"
  | "signed_in"
  | "signed_out"
  | "lock_waited"
  | "attempt_sent"
  | "answered"
  | "renewed"
  | "adopted"
  | "saved"
  | "save_failed"
  | "entry_lost"
  | "waiters_told"
  | "ended"
  | "removed"
  | "revoked"
  | "lock_not_taken"
  | "file_not_written"
  | "server_checked"
  | "sign_in_sent"
  | "server_refused"
  | "renewal";

/** The facts of a `renewal` entry: one renewal from its trigger to its outcome. */
export interface RenewalFacts {
  /** Why the renewal began. */
  why?: "expired" | "refused" | "ahead";
  /** The generation of the credentials before it. */
  from?: number;
  /** The generation after it. Present after `renewed` and `adopted`. */
  to?: number;
  /** How many calls waited for it. */
  waiters: number;
  /** The last 20 attempts of this process, oldest first. */
  attempts: RenewalAttempt[];
  /** How many attempts this process made. */
  attemptCount: number;
  /** How long this process waited for the account's lock, in milliseconds. */
  lockWaitMs: number;
  /** `true`, or why the new credentials are in memory only. Present after `renewed`. */
  saved?: true | Cause;
  /** How it ended. After `unreachable`, attempts go on in the background and make the next entry. */
  outcome: "renewed" | "adopted" | "ended" | "signed_out" | "locked" | "unreachable";
  /** Why the session `ended`, or what is `unreachable`. */
  reason?: Ending["reason"] | NonNullable<Status["unreachable"]>;
  /** What made it `ended` or `unreachable`. */
  cause?: Cause;
}

/** One attempt to exchange the refresh token. */
export interface RenewalAttempt {
  verdict: "renewed" | "rejected" | "inconclusive";
  /** Why it came out so. */
  cause: Cause;
  /** The HTTP status of the answer, where there was one. */
  httpStatus?: number;
  /** What an inconclusive attempt did to the refresh token. */
  token?: "not_sent" | "not_used" | "maybe_used";
  /** Servers also send this rejection by mistake, so that it does not end the session by itself. */
  ambiguous?: true;
  /** Time from sending to the verdict, in milliseconds. */
  ms: number;
  /** The pause that the server asked for, in milliseconds. */
  retryAfterMs?: number;
}

/** Payload of the plugin's events. It is only a hint: read the `status`, and keep the one with the highest revision. */
export interface Hint {
  account: string;
  revision: number;
  phase: Phase;
}
