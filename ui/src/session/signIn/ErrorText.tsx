import { Alert } from "@mantine/core";
import type { Problem } from "./form";

export function ErrorText({ code, text }: Problem) {
  return (
    <span data-testid="sign-in-error" data-code={code}>
      {text}
    </span>
  );
}

/** An error that belongs to no field. */
export function ErrorAlert(problem: Problem) {
  return (
    <Alert color="red" variant="light" role="alert">
      <ErrorText {...problem} />
    </Alert>
  );
}
