/** An error as the plugin's functions reject with. */
import type { Code, SessionErrorShape } from "../host";
import { errors } from "../messages";

export class FakeError extends Error implements SessionErrorShape {
  readonly code: Code;

  constructor(code: Code) {
    super(errors[code]);
    this.code = code;
  }
}
