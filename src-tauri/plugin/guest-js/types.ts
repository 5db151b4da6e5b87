/** What a window knows about the session: the answer of the command `status`. */
export interface Status {
  /** The account this is about; one application may hold several. */
  account: string;
  /** Counts published changes in this process. Keep the highest, drop the rest. */
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
  /** Who is out of reach in the phase `unreachable`. */
  unreachable?: "server" | "held_by_other_process";
  /** Why the stored session cannot be read. Present in the phase `locked`. */
  locked?: "keyring_locked" | "keyring_missing" | "keyring_locked_or_cleared" | "keyring_failed";
}

/**
 * - `opening`: the stored session is being read
 * - `signed_out`: nobody is signed in (also after the person's own sign-out)
 * - `signed_in`: calls go out
 * - `renewing`: calls wait for a renewal
 * - `unreachable`: a renewal, or a call, got no answer; still signed in, attempts go on
 * - `locked`: a session is stored, but the keyring does not show it
 * - `ended`: the session is over, see `ending`
 */
export type Phase = "opening" | "signed_out" | "signed_in" | "renewing" | "unreachable" | "locked" | "ended";

/** Whether the credentials would survive a restart. */
export interface Storage {
  state: "saved" | "not_saved";
  /** Present with `not_saved`. */
  reason?: "keyring_locked" | "keyring_missing" | "keyring_slow" | "keyring_failed" | "too_long";
}

/** Why a session is over, and since when. */
export interface Ending {
  reason: "rejected" | "lost_answer" | "unreachable_too_long" | "signed_out";
  /** Milliseconds since 1970. */
  at: number;
}

/** Closed list of what can go wrong; each has its own text on the screen. */
export type Code =
  | "signed_out"
  | "unreachable"
  | "access_denied"
  | "timed_out"
  | "cancelled"
  | "maybe_executed"
  | "already_ran"
  | "too_many_calls"
  | "too_large"
  | "upload_broken"
  | "invalid_request"
  | "locked"
  | "wrong_password"
  | "unknown_user"
  | "second_factor_required"
  | "sign_in_refused"
  | "invalid_address"
  | "host_not_found"
  | "certificate"
  | "not_this_server"
  | "no_answer"
  | "config"
  | "internal";

/** What a command rejects with. */
export interface SessionErrorShape {
  code: Code;
  /** One sentence that says what to do next. */
  message: string;
  retryAfterMs?: number;
}

/** Answer of `check_server`. */
export interface ServerCheck {
  /** The address as it will be used: an origin. */
  origin: string;
  /** The protocol that answered, such as `twenty`. */
  protocol: string;
}

/** One line of the journal; it never holds a secret. */
export interface JournalEntry {
  /** Milliseconds since 1970. */
  at: number;
  /**
   * What happened, one of a closed list: `opened`, `signed_in`, `signed_out`, `lock_waited`, `attempt_sent`, `answered`,
   * `renewed`, `adopted`, `saved`, `save_failed`, `entry_lost`, `waiters_told`, `ended`, `removed`, `revoked`, and `renewal`, which
   * says all of one renewal when it is over.
   */
  what: string;
  /** Further facts: numbers and words only. Those of a `renewal` are {@link RenewalFacts}. */
  facts: Record<string, string | number | boolean | RenewalAttempt[]>;
}

/** The facts of a `renewal` entry: one renewal from its trigger to its outcome. */
export interface RenewalFacts {
  /** What asked for it first. */
  why?: "expired" | "refused" | "ahead";
  /** The generation that was to be renewed. */
  from?: number;
  /** The generation that calls use now: after `renewed` and `adopted`. */
  to?: number;
  /** Calls that were told the outcome. */
  waiters: number;
  /** The last 20 attempts of this process, oldest first. */
  attempts: RenewalAttempt[];
  /** All attempts of this process. */
  attemptCount: number;
  /** How long this process waited for the account's lock, in milliseconds. */
  lockWaitMs: number;
  /** `true`, or why the new credentials live in memory only; after `renewed`. */
  saved?: true | string;
  /** What came of it. After `unreachable`, attempts go on in the background, and are the next entry. */
  outcome: "renewed" | "adopted" | "ended" | "signed_out" | "locked" | "unreachable";
  /** Why it `ended`, or who is `unreachable`. */
  reason?: Ending["reason"] | NonNullable<Status["unreachable"]>;
}

/** One exchange of the refresh token that was sent. */
export interface RenewalAttempt {
  verdict: "renewed" | "rejected" | "inconclusive";
  /** What an inconclusive one did to the refresh token. */
  token?: "not_sent" | "not_used" | "maybe_used";
  /** The server gives this rejection by mistake, too. */
  ambiguous?: true;
  /** From sending to the verdict, in milliseconds. */
  ms: number;
  /** The pause that the server asked for, in milliseconds. */
  retryAfterMs?: number;
}

/** Payload of the plugin's events. A hint: ask `status`, and keep the highest revision. */
export interface Hint {
  account: string;
  revision: number;
  phase: Phase;
}
