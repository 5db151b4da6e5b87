import type { InvokeArgs, InvokeOptions } from "@tauri-apps/api/core";
import { vi } from "vitest";

import type { Status } from "../types.js";

/** One invoke of the page. */
export interface Invoke {
  command: string;
  args: InvokeArgs | undefined;
  headers: Record<string, string>;
}

type Answer = (invoke: Invoke) => unknown;
type Listener = (event: { payload: unknown }) => void;

/** A fake of Tauri: answers invokes, delivers events, and records every invoke. */
export class Host {
  readonly invokes: Invoke[] = [];
  readonly #answers = new Map<string, Answer>();
  readonly #callbacks = new Map<number, Listener>();
  readonly #listening = new Map<number, { event: string; target: unknown }>();
  readonly #documentListeners = new Set<() => void>();
  #nextId = 1;

  constructor(readonly label = "main") {
    const internals = {
      metadata: { currentWindow: { label }, currentWebview: { windowLabel: label, label } },
      invoke: (command: string, args?: InvokeArgs, options?: InvokeOptions) => this.#invoke(command, args, options),
      transformCallback: (callback: Listener) => {
        this.#callbacks.set(this.#nextId, callback);
        return this.#nextId++;
      },
    };
    vi.stubGlobal("window", {
      __TAURI_INTERNALS__: internals,
      __TAURI_EVENT_PLUGIN_INTERNALS__: { unregisterListener: () => undefined },
    });
    vi.stubGlobal("location", new URL("tauri://localhost/people?page=2"));
    vi.stubGlobal("document", {
      visibilityState: "visible",
      addEventListener: (_: string, listener: () => void) => this.#documentListeners.add(listener),
      removeEventListener: (_: string, listener: () => void) => this.#documentListeners.delete(listener),
    });
  }

  /** Sets the answer of one of the plugin's commands. A thrown value is its rejection. */
  on(command: string, answer: Answer): this {
    this.#answers.set(`plugin:graphql-session|${command}`, answer);
    return this;
  }

  /** Lets one of the plugin's commands fail. The rejection of a command is a plain object. */
  rejects(command: string, problem: object): this {
    return this.on(command, () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- a command's rejection is a plain object
      throw problem;
    });
  }

  /** Delivers an event to everyone who listens to it now. */
  emit(event: string, payload: unknown): void {
    for (const [id, listening] of this.#listening) {
      if (listening.event === event) this.#callbacks.get(id)?.({ payload });
    }
  }

  /** Sends a message through a channel, as Rust does: each with its number. */
  send(channel: string, index: number, message: unknown): void {
    const id = Number(channel.replace("__CHANNEL__:", ""));
    (this.#callbacks.get(id) as ((raw: unknown) => void) | undefined)?.({ index, message });
  }

  /** Shows the window after it was hidden. */
  show(): void {
    for (const listener of this.#documentListeners) listener();
  }

  /** How often a command of the plugin was invoked. */
  count(command: string): number {
    return this.asked(command).length;
  }

  asked(command: string): Invoke[] {
    return this.invokes.filter((invoke) => invoke.command === `plugin:graphql-session|${command}`);
  }

  get targets(): unknown[] {
    return [...this.#listening.values()].map(({ target }) => target);
  }

  async #invoke(command: string, args?: InvokeArgs, options?: InvokeOptions): Promise<unknown> {
    const headers = Object.fromEntries(new Headers(options?.headers));
    const invoke = { command, args, headers };
    this.invokes.push(invoke);
    if (command === "plugin:event|listen") return this.#listen(args as Record<string, unknown>);
    if (command === "plugin:event|unlisten") {
      this.#listening.delete((args as { eventId: number }).eventId);
      return undefined;
    }
    const answer = this.#answers.get(command);
    if (!answer) throw new Error(`no answer is set for ${command}`);
    await Promise.resolve();
    return answer(invoke);
  }

  #listen({ event, handler, target }: Record<string, unknown>): number {
    this.#listening.set(handler as number, { event: event as string, target });
    return handler as number;
  }
}

/** Why it failed, or `undefined` where it did not. */
export async function rejectionOf(answer: Promise<unknown>): Promise<unknown> {
  return answer.then(
    () => undefined,
    (problem: unknown) => problem,
  );
}

/** Runs every microtask that is due. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** A status with what a test cares about. */
export function statusOf(part: Partial<Status>): Status {
  return { account: "default", revision: 1, phase: "signed_in", storage: { state: "saved" }, ...part };
}

/** A reply as the plugin frames it. */
export function framed(head: unknown, body: string | Uint8Array = ""): ArrayBuffer {
  const headBytes = new TextEncoder().encode(JSON.stringify(head));
  const bodyBytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const framed = new Uint8Array(4 + headBytes.length + bodyBytes.length);
  new DataView(framed.buffer).setUint32(0, headBytes.length);
  framed.set(headBytes, 4);
  framed.set(bodyBytes, 4 + headBytes.length);
  return framed.buffer;
}
