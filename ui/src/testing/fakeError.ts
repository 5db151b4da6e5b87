/** An error as the plugin's functions reject with. */
import type { Code, SessionErrorShape } from "../host";
import { errors } from "../messages";

export class FakeError extends Error implements SessionErrorShape {
  readonly code: Code;
  readonly retryAfterMs?: number;

  constructor(code: Code, retryAfterMs?: number) {
    super(errors[code]);
    this.code = code;
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs;
  }
}
