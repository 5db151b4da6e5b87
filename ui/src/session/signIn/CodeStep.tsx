/** The code of an authenticator application, or a recovery code. */
import { Button, TextInput } from "@mantine/core";
import { useEffect, useRef, useState, type FormEvent } from "react";
import type { SignInStep } from "../../host";
import { signInSteps } from "../../messages";
import { ErrorText } from "./ErrorText";
import { StepPanel } from "./StepPanel";

const words = signInSteps.code;

/** Most characters of a code: what the desktop takes, in bytes. Recovery codes are the longest. */
const LONGEST_CODE = 128;

interface Props {
  step: Extract<SignInStep, { kind: "one_time_code" }>;
  /** Whether a code is on its way to the server. */
  isAnswered: boolean;
  onCode: (code: string) => void;
  onCancel: () => void;
}

export function CodeStep({ step, isAnswered, onCode, onCancel }: Props) {
  const [typed, setTyped] = useState("");
  const [isMissing, setMissing] = useState(false);
  const [touched, setTouched] = useState<SignInStep>();
  const field = useRef<HTMLInputElement>(null);
  // After a wrong code, the next one replaces it.
  useEffect(() => {
    if (isAnswered) return;
    field.current?.focus();
    field.current?.select();
  }, [step, isAnswered]);

  // Applications show a code in groups, and it is copied with the spaces.
  const code = typed.replace(/\s/g, "");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isAnswered) return;
    setMissing(!code);
    if (code) onCode(code);
    else field.current?.focus();
  };
  const isWrong = step.wasWrong && touched !== step && !isAnswered;
  const problem = isMissing ? words.missing : isWrong ? words.wrong : undefined;

  return (
    <form onSubmit={submit} noValidate>
      <StepPanel
        title={words.title}
        text={words.text}
        onCancel={onCancel}
        hasField
        action={
          <Button type="submit" loading={isAnswered} data-testid="sign-in-code-submit">
            {words.submit}
          </Button>
        }
      >
        <TextInput
          ref={field}
          label={words.label}
          value={typed}
          onChange={(event) => {
            setTyped(event.currentTarget.value);
            setMissing(false);
            setTouched(step);
          }}
          error={problem && <ErrorText text={problem} />}
          inputMode="numeric"
          autoComplete="one-time-code"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={LONGEST_CODE}
          data-autofocus
          data-testid="sign-in-code"
          disabled={isAnswered}
        />
      </StepPanel>
    </form>
  );
}
