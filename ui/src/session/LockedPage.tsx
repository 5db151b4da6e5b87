/** A session is stored, but the keyring does not give it. This is not the sign-in page: nobody was signed out. */
import { Button, Center, Group, Paper, Stack, Text, Title } from "@mantine/core";
import { IconKey } from "@tabler/icons-react";
import { useState } from "react";
import { errorText } from "../errorText";
import { locked as words } from "../messages";
import { InsecureNote } from "./InsecureMark";
import { useSession } from "./session";
import { SignInPage } from "./SignInPage";

export function LockedPage() {
  const { host, status } = useSession();
  const [anew, setAnew] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();

  if (anew) return <SignInPage server={status.server} email={status.person} onBack={() => setAnew(false)} />;

  const tryAgain = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      await host.retryNow();
    } catch (error) {
      setProblem(errorText(error));
    }
    setBusy(false);
  };

  return (
    <Center mih="100vh" p="md" bg="var(--hold-side)" component="main" data-testid="locked-page">
      <Paper withBorder p="xl" w="100%" maw={480} radius="md">
        <Stack gap="md">
          <IconKey size={32} color="var(--hold-grey)" aria-hidden />
          <Title order={1} size="h3">
            {words.title}
          </Title>
          <InsecureNote />
          <Text>{words.kept(status.person, status.server)}</Text>
          {status.locked && <Text c="dimmed">{words.reasons[status.locked]}</Text>}
          {problem && (
            <Text c="var(--mantine-color-error)" role="alert">
              {problem}
            </Text>
          )}
          <Group>
            <Button onClick={() => void tryAgain()} loading={busy} data-testid="locked-try-again" autoFocus>
              {words.tryAgain}
            </Button>
            <Button variant="default" onClick={() => setAnew(true)} data-testid="locked-sign-in-anew">
              {words.signInAnew}
            </Button>
          </Group>
        </Stack>
      </Paper>
    </Center>
  );
}
