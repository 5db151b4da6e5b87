/** The form of a sign-in: the server's address, the button for the browser or a code, e-mail and password. */
import { Button, Divider, Stack, Text } from "@mantine/core";
import { useEffect, useRef, type FormEvent } from "react";
import type { SignInMethod } from "../../host";
import { signIn as words } from "../../messages";
import { ErrorAlert } from "./ErrorText";
import type { FieldName, Problems, ShownWays, Typed } from "./form";
import { PasswordFields } from "./PasswordFields";
import { ServerField } from "./ServerField";
import type { Check } from "./useServerCheck";

/** A field, or the button of a way to sign in. A new object moves the focus again. */
export interface Focus {
  on: FieldName | `${SignInMethod} button`;
}

interface Props {
  typed: Typed;
  onType: (name: FieldName, text: string) => void;
  problems: Problems;
  check: Check;
  onAskNow: () => void;
  ways: ShownWays;
  onStart: (way: SignInMethod) => void;
  /** The way that is being tried: nothing can be changed meanwhile. */
  running: SignInMethod | undefined;
  focus: Focus;
  /** Fills in the demo account, where there is one. */
  onDemo?: () => void;
  submitText?: string;
  submitTestId?: string;
}

export function SignInForm(props: Props) {
  const { typed, onType, problems, check, ways, onStart, running, focus, submitText, submitTestId } = props;
  const root = useRef<HTMLDivElement>(null);

  // An effect, because a disabled field takes no focus. What is in the field is selected.
  useEffect(() => {
    const element = root.current?.querySelector<HTMLElement>(`[data-place="${focus.on}"]`);
    element?.focus();
    if (element instanceof HTMLInputElement) element.select();
  }, [focus]);

  // Where a server takes no password, the field that had the focus may be gone.
  useEffect(() => {
    const isLost = document.activeElement === document.body;
    const button = root.current?.querySelector<HTMLElement>(`[data-place="${ways.first} button"]`);
    if (!ways.password && isLost) button?.focus();
  }, [ways.first, ways.password]);

  const submit = (way: SignInMethod) => (event: FormEvent) => {
    event.preventDefault();
    onStart(way);
  };
  const common = { typed, onType, problems, isBusy: running !== undefined, autoFocus: focus.on };
  const above = (way: SignInMethod) => problems.way?.tried === way && <ErrorAlert {...problems.way} />;

  // Two forms, so that Enter in the address takes the first way, and Enter in the password sends the password.
  return (
    <Stack gap="sm" ref={root}>
      <form onSubmit={submit(ways.first ?? "password")} noValidate>
        <Stack gap="sm">
          <ServerField {...common} check={check} onAskNow={props.onAskNow} onDemo={props.onDemo} />
          {ways.first && above(ways.first)}
          {ways.first && (
            <Button
              data-place={`${ways.first} button`}
              type="submit"
              fullWidth
              loading={running === ways.first}
              disabled={running !== undefined && running !== ways.first}
              data-testid={`sign-in-${ways.first}`}
            >
              {words[ways.first]}
            </Button>
          )}
        </Stack>
      </form>
      {ways.first && ways.password && <Divider label={words.or} labelPosition="center" />}
      {ways.password && (
        <form onSubmit={submit("password")} noValidate>
          <Stack gap="sm">
            <PasswordFields {...common} />
            {above("password")}
            <Button
              data-place="password button"
              type="submit"
              fullWidth
              variant={ways.first ? "default" : "filled"}
              loading={running === "password"}
              disabled={running !== undefined && running !== "password"}
              data-testid={submitTestId ?? "sign-in-submit"}
            >
              {ways.first ? words.submitPassword : (submitText ?? words.submit)}
            </Button>
          </Stack>
        </form>
      )}
      {isOldTwenty(check) && (
        <Text size="sm" c="dimmed" data-testid="sign-in-password-only">
          {words.passwordOnly}
        </Text>
      )}
    </Stack>
  );
}

/** Whether it is a Twenty server of before 2026, which has no sign-in by browser. */
const isOldTwenty = (check: Check) =>
  check.state === "right" && check.server.protocol === "twenty" && shownAlone(check.server.methods, "password");

const shownAlone = (methods: SignInMethod[], method: SignInMethod) => methods.length === 1 && methods[0] === method;
