import { invoke } from "@tauri-apps/api/core";
import type { InvokeArgs, InvokeOptions } from "@tauri-apps/api/core";

import { SessionError } from "./error.js";

/** Runs one command of the plugin. Every rejection is a {@link SessionError}. */
export async function call<T>(command: string, args?: InvokeArgs, options?: InvokeOptions): Promise<T> {
  try {
    return await invoke<T>(`plugin:graphql-session|${command}`, args, options);
  } catch (problem) {
    throw SessionError.from(problem);
  }
}
