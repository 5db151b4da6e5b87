/** Server, e-mail and password: on the sign-in page, and in the dialog of an ended session. */
import { ActionIcon, Alert, Autocomplete, Button, Group, Loader, Stack, Text, TextInput } from "@mantine/core";
import { IconCheck, IconEye, IconEyeOff } from "@tabler/icons-react";
import { useEffect, useRef, useState, type FormEvent } from "react";
import type { Code, DemoAccount, SignInRequest } from "../host";
import { codeOf, errorText } from "../errorText";
import { errors, signIn as words } from "../messages";
import { rememberedServers, rememberServer } from "../remembered";
import { useHost } from "./session";

/** Pause in typing after which the address is checked, in milliseconds. */
const CHECK_AFTER_MS = 500;

/** Most characters of each field: what the desktop takes, in bytes. */
const LONGEST = { server: 2048, email: 254, password: 1024 };

type FieldName = "server" | "email" | "password";
type Problems = Partial<Record<FieldName | "form", { text: string; code?: Code }>>;

/** The field that shows an error. Any other error is shown above the button. */
const PLACE: Partial<Record<Code, FieldName>> = {
  not_confirmed: "server",
  invalid_address: "server",
  host_not_found: "server",
  certificate: "server",
  not_this_server: "server",
  no_answer: "server",
  unreachable: "server",
  unknown_user: "email",
  wrong_password: "password",
};

interface Props {
  server?: string;
  email?: string;
  submitText?: string;
  /** Called before anything is sent; `false` stops the sign-in. */
  before?: (request: SignInRequest) => Promise<boolean>;
  demo?: DemoAccount;
  autoFocus?: boolean;
  submitTestId?: string;
}

export function SignInForm({
  server: firstServer,
  email: firstEmail,
  submitText,
  before,
  demo,
  autoFocus = true,
  submitTestId,
}: Props) {
  const host = useHost();
  const [server, setServer] = useState(firstServer ?? rememberedServers()[0] ?? "");
  const [email, setEmail] = useState(firstEmail ?? "");
  const [password, setPassword] = useState("");
  const [shown, setShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problems, setProblems] = useState<Problems>({});
  const check = useServerCheck(server);
  const serverField = useRef<HTMLInputElement>(null);
  const emailField = useRef<HTMLInputElement>(null);
  const passwordField = useRef<HTMLInputElement>(null);

  // The first empty field gets the focus.
  const [empty] = useState<FieldName>(!server ? "server" : !email ? "email" : "password");
  useEffect(() => {
    const fields = { server: serverField, email: emailField, password: passwordField };
    if (autoFocus) fields[empty].current?.focus();
  }, [autoFocus, empty]);

  // An effect, because a disabled field takes no focus: the first wrong field, with its text selected.
  const [wrong, setWrong] = useState<Problems>({});
  useEffect(() => {
    const field = wrong.server ? serverField : wrong.email ? emailField : wrong.password ? passwordField : undefined;
    field?.current?.focus();
    field?.current?.select();
  }, [wrong]);

  const fill = (account: DemoAccount) => {
    setServer(account.server);
    setEmail(account.email);
    setPassword(account.password);
    setProblems({});
  };

  // With a demo server the form is filled in, unless something else was typed or remembered.
  const [offered, setOffered] = useState<DemoAccount>();
  if (demo && demo !== offered) {
    setOffered(demo);
    const untouched = [server || demo.server, email || demo.email, password || demo.password];
    if (untouched.join("\n") === [demo.server, demo.email, demo.password].join("\n")) fill(demo);
  }

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy) return;
    const missing: Problems = {};
    if (!server.trim()) missing.server = { text: words.missingServer };
    if (!email.trim()) missing.email = { text: words.missingEmail };
    if (!password) missing.password = { text: words.missingPassword };
    setProblems(missing);
    if (Object.keys(missing).length > 0) {
      setWrong(missing);
      return;
    }
    const request = { server: server.trim(), email: email.trim(), password };
    if (before && !(await before(request))) return;
    setBusy(true);
    try {
      const status = await host.signIn(request);
      if (status.server) rememberServer(status.server);
    } catch (error) {
      const code = codeOf(error);
      const found: Problems = { [(code && PLACE[code]) ?? "form"]: { text: errorText(error), code } };
      setProblems(found);
      setWrong(found);
    }
    setBusy(false);
  };

  const problem = (name: FieldName) => {
    const found = problems[name];
    return found && <ErrorText code={found.code} text={found.text} />;
  };

  const change = (name: FieldName, set: (value: string) => void) => (value: string) => {
    set(value);
    setProblems((old) => ({ ...old, [name]: undefined, form: undefined }));
  };

  const known = rememberedServers();
  const target = originOf(server);
  const wrongAddress =
    check.state === "wrong" && !problems.server ? <ErrorText code={check.code} text={check.text} /> : undefined;

  return (
    <form onSubmit={(event) => void submit(event)} noValidate>
      <Stack gap="md">
        <div>
          <Autocomplete
            ref={serverField}
            label={words.server}
            placeholder={words.serverHint}
            data={known}
            value={server}
            onChange={change("server", setServer)}
            error={problem("server") ?? wrongAddress}
            rightSection={check.state === "asking" ? <Loader size={16} aria-label={words.checking} /> : undefined}
            autoComplete="url"
            spellCheck={false}
            autoCapitalize="none"
            inputMode="url"
            name="server"
            maxLength={LONGEST.server}
            data-testid="sign-in-server"
            data-autofocus={(autoFocus && empty === "server") || undefined}
            disabled={busy}
          />
          <Group justify="space-between" mt={4} mih={24} wrap="nowrap">
            <Text
              size="sm"
              c="dimmed"
              component="div"
              role="status"
              data-testid="server-check"
              data-state={check.state}
            >
              {check.state === "right" && (
                <Group gap={4} wrap="nowrap" c="var(--hold-good)">
                  <IconCheck size={16} aria-hidden />
                  {words.reachable}
                </Group>
              )}
              {check.state === "asking" && words.checking}
              {check.state === "other" && words.other}
            </Text>
            {demo && (
              <Button
                variant="subtle"
                size="compact-sm"
                onClick={() => fill(demo)}
                data-testid="sign-in-demo"
                disabled={busy}
              >
                {words.demo}
              </Button>
            )}
          </Group>
        </div>
        <TextInput
          ref={emailField}
          label={words.email}
          type="email"
          name="email"
          autoComplete="username"
          spellCheck={false}
          value={email}
          onChange={(event) => change("email", setEmail)(event.currentTarget.value)}
          error={problem("email")}
          maxLength={LONGEST.email}
          data-testid="sign-in-email"
          data-autofocus={(autoFocus && empty === "email") || undefined}
          disabled={busy}
        />
        <TextInput
          ref={passwordField}
          label={words.password}
          type={shown ? "text" : "password"}
          name="password"
          autoComplete="current-password"
          value={password}
          onChange={(event) => change("password", setPassword)(event.currentTarget.value)}
          error={problem("password")}
          rightSection={
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={shown ? words.hide : words.show}
              aria-pressed={shown}
              onClick={() => setShown(!shown)}
              data-testid="sign-in-show-password"
            >
              {shown ? <IconEyeOff size={18} /> : <IconEye size={18} />}
            </ActionIcon>
          }
          description={target && <span data-testid="sign-in-target">{words.goesTo(target)}</span>}
          inputWrapperOrder={["label", "input", "description", "error"]}
          maxLength={LONGEST.password}
          data-testid="sign-in-password"
          data-autofocus={(autoFocus && empty === "password") || undefined}
          disabled={busy}
        />
        {problems.form && (
          <Alert color="red" variant="light" role="alert">
            <ErrorText code={problems.form.code} text={problems.form.text} />
          </Alert>
        )}
        <Button type="submit" loading={busy} fullWidth data-testid={submitTestId ?? "sign-in-submit"}>
          {submitText ?? words.submit}
        </Button>
      </Stack>
    </form>
  );
}

function ErrorText({ code, text }: { code?: Code; text: string }) {
  return (
    <span data-testid="sign-in-error" data-code={code}>
      {text}
    </span>
  );
}

/**
 * Where the password goes, with international names in Punycode: two names that look alike differ there. Nothing for what
 * is no address yet.
 */
function originOf(address: string): string | undefined {
  const typed = address.trim();
  const isLoopback = /^(localhost|127\.|\[::1\])/.test(typed);
  const url = typed.includes("://") ? typed : `${isLoopback ? "http" : "https"}://${typed}`;
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

type Check = { state: "idle" | "asking" | "right" | "other" } | { state: "wrong"; code?: Code; text: string };

/** Checks the address after a pause in typing. The answer for an older address is dropped. */
function useServerCheck(address: string): Check {
  const host = useHost();
  const [result, setResult] = useState<{ address: string; check: Check }>({ address: "", check: { state: "idle" } });
  useEffect(() => {
    const asked = address.trim();
    if (!asked) return;
    let stale = false;
    const timer = setTimeout(() => {
      setResult({ address, check: { state: "asking" } });
      host.checkServer(asked).then(
        () => !stale && setResult({ address, check: { state: "right" } }),
        (error: unknown) => {
          const code = codeOf(error);
          if (stale) return;
          if (code === "not_confirmed") setResult({ address, check: { state: "other" } });
          else if (code === "too_many_calls") setResult({ address, check: { state: "idle" } });
          else setResult({ address, check: { state: "wrong", code, text: code ? errors[code] : errorText(error) } });
        },
      );
    }, CHECK_AFTER_MS);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [address, host]);
  return result.address === address && address.trim() ? result.check : { state: "idle" };
}
