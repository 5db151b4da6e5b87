/** The server's address, and below it what is known about that server. */
import { Anchor, Autocomplete, Button, Group, Loader, Text } from "@mantine/core";
import { IconCheck } from "@tabler/icons-react";
import { signIn as words } from "../../messages";
import { rememberedServers } from "../../remembered";
import { ErrorText } from "./ErrorText";
import { LONGEST, type FieldName, type Problem, type Problems, type Typed } from "./form";
import type { Check } from "./useServerCheck";

interface Props {
  typed: Typed;
  onType: (name: FieldName, text: string) => void;
  problems: Problems;
  check: Check;
  onAskNow: () => void;
  onDemo?: () => void;
  isBusy: boolean;
  /** What has the focus at first. */
  autoFocus: string;
}

export function ServerField({ typed, onType, problems, check, onAskNow, onDemo, isBusy, autoFocus }: Props) {
  const problem = problems.server ?? problemOf(check);
  return (
    <div>
      <Autocomplete
        data-place="server"
        label={words.server}
        placeholder={words.serverHint}
        data={rememberedServers()}
        value={typed.server}
        onChange={(text) => onType("server", text)}
        error={problem && <ErrorText {...problem} />}
        rightSection={check.state === "asking" ? <Loader size={16} aria-label={words.checking} /> : undefined}
        autoComplete="url"
        spellCheck={false}
        autoCapitalize="none"
        inputMode="url"
        name="server"
        maxLength={LONGEST.server}
        data-testid="sign-in-server"
        data-autofocus={autoFocus === "server" || undefined}
        disabled={isBusy}
      />
      <Group justify="space-between" mt={4} mih={24} wrap="nowrap">
        <Text size="sm" c="dimmed" component="div" role="status" data-testid="server-check" data-state={check.state}>
          {check.state === "right" && !problem && (
            <Group gap={4} wrap="nowrap" c="var(--hold-good)">
              <IconCheck size={16} aria-hidden />
              {words.reachable}
            </Group>
          )}
          {check.state === "asking" && words.checking}
          {check.state === "other" && (
            <>
              {words.other}{" "}
              <Anchor component="button" type="button" size="sm" onClick={onAskNow} data-testid="sign-in-ask-now">
                {words.askNow}
              </Anchor>
            </>
          )}
        </Text>
        {onDemo && (
          <Button variant="subtle" size="compact-sm" onClick={onDemo} data-testid="sign-in-demo" disabled={isBusy}>
            {words.demo}
          </Button>
        )}
      </Group>
    </div>
  );
}

/** What the check has found wrong. */
function problemOf(check: Check): Problem | undefined {
  if (check.state === "wrong") return check;
  if (check.state === "right" && check.server.methods.length === 0) return { text: words.noMethods };
  return undefined;
}
