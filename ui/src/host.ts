/**
 * What the screens need of the desktop. No other file imports Tauri or the plugin, so every screen also runs with the
 * host in `testing/`.
 */
import { invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";
import { getCurrentWindow } from "@tauri-apps/api/window";
import * as session from "tauri-plugin-graphql-session-api";
import type { JournalEntry, ServerCheck, SignIn, SignInOptions, Status } from "tauri-plugin-graphql-session-api";

export type {
  Code,
  Ending,
  JournalEntry,
  Phase,
  ServerCheck,
  SessionErrorShape,
  SignIn as SignInRequest,
  SignInMethod,
  SignInOptions,
  SignInStep,
  Status,
  StepAnswer,
  Storage,
} from "tauri-plugin-graphql-session-api";

/** The demo server's address, and its account. */
export interface DemoAccount {
  server: string;
  email: string;
  password: string;
}

/** Whose unsent work it is: a person at a server. */
export interface Owner {
  server: string;
  person: string;
}

/** What has not reached the server. The desktop keeps it without looking into it. */
export interface UnsentWork {
  edits: unknown[];
  drafts: unknown[];
}

/** What would be lost by quitting now. */
export interface Quitting {
  session: boolean;
  edits: boolean;
}

/** The desktop as the screens use it. */
export interface Host {
  /** Calls the listener with the present status, then with each newer one. Resolves to the function that stops it. */
  onChange(listener: (status: Status) => void): Promise<() => void>;
  /** With `mayAsk`, asks the person about a server that is another one than so far. */
  checkServer(address: string, options?: { mayAsk?: boolean }): Promise<ServerCheck>;
  /** Signs in, step by step. The desktop opens the browser itself. */
  signIn(request: SignIn, options?: SignInOptions): Promise<Status>;
  /** Signs out in every window. */
  signOut(): Promise<Status>;
  /** Skips the pause before the next attempt, and reads a keyring again that was locked. */
  retryNow(): Promise<Status>;
  journal(): Promise<JournalEntry[]>;
  /** One text for a bug report, without secrets, e-mail addresses and names of servers. */
  diagnostics(): Promise<string>;
  /** Has the signature of `fetch`. The last part of the URL's path names the endpoint. */
  fetch: typeof fetch;
  openWindow(): Promise<void>;
  setTitle(title: string): Promise<void>;
  /** Calls the listener when closing this window would lose the session or edits: the person decides to quit or to stay. */
  onQuitting(listener: (lost: Quitting) => void): Promise<() => void>;
  quit(): Promise<void>;
  stay(): Promise<void>;
  /** Keeps this window's unsent work on the disk, in place of what it kept before. Rejects where that fails. */
  keepUnsent(owner: Owner, work: UnsentWork): Promise<void>;
  /** Takes over what this window, and every window that is gone, has kept. */
  takeUnsent(owner: Owner): Promise<UnsentWork>;
  /** Removes all that is kept for this owner. */
  forgetUnsent(owner: Owner): Promise<void>;
  /** Calls the listener when a window was closed: its unsent work can be taken over. */
  onUnsent(listener: () => void): Promise<() => void>;
  /** What the sign-in form offers to fill in. */
  defaults(): Promise<{ demo?: DemoAccount }>;
}

/** The host of the desktop application. */
export function createTauriHost(): Host {
  return {
    onChange: (listener) => session.onChange(listener),
    checkServer: (address, options) => session.checkServer(address, undefined, options),
    signIn: (request, options) => session.signIn(request, options),
    signOut: () => session.signOut(),
    retryNow: () => session.retryNow(),
    journal: () => session.journal(),
    diagnostics: () => session.diagnostics(),
    fetch: session.createSessionFetch(),
    openWindow: () => invoke<void>("open_window"),
    setTitle: (title) => getCurrentWindow().setTitle(title),
    onQuitting: (listener) =>
      listen<Quitting>("holdfast://quitting", ({ payload }) => listener(payload), {
        target: getCurrentWindow().label,
      }),
    quit: () => invoke<void>("quit"),
    stay: () => invoke<void>("stay"),
    keepUnsent: (owner, work) => invoke<void>("keep_unsent", { owner, work }),
    takeUnsent: (owner) => invoke<UnsentWork>("take_unsent", { owner }),
    forgetUnsent: (owner) => invoke<void>("forget_unsent", { owner }),
    onUnsent: (listener) => listen("holdfast://unsent", () => listener()),
    defaults: async () => {
      const demo = await invoke<DemoAccount | null>("demo_account");
      return demo ? { demo } : {};
    },
  };
}
