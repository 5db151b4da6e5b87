/** The whole window before the first sign-in and after the person's own sign-out. */
import { Button, Center, Paper, Stack, Text, Title } from "@mantine/core";
import { useEffect, useState } from "react";
import type { DemoAccount } from "../host";
import { frame, locked as lockedWords, signIn as words } from "../messages";
import { useHost } from "./session";
import { SignInForm } from "./SignInForm";

export function SignInPage({ server, email, onBack }: { server?: string; email?: string; onBack?: () => void }) {
  const demo = useDemo();
  return (
    <Center mih="100vh" p="md" bg="var(--hold-side)" component="main">
      <Paper withBorder p="xl" w="100%" maw={416} radius="md">
        <Stack gap="lg">
          <div>
            <Text c="dimmed" fw={600} size="sm">
              {frame.product}
            </Text>
            <Title order={1} size="h2">
              {words.title}
            </Title>
            <Text c="dimmed" mt={4}>
              {words.intro}
            </Text>
          </div>
          {/* The demo account arrives once, so the form may be drawn before it is known. */}
          <SignInForm server={server} email={email} demo={demo} />
          {onBack && (
            <Button variant="subtle" onClick={onBack}>
              {lockedWords.back}
            </Button>
          )}
        </Stack>
      </Paper>
    </Center>
  );
}

function useDemo(): DemoAccount | undefined {
  const host = useHost();
  const [demo, setDemo] = useState<DemoAccount>();
  useEffect(() => {
    let gone = false;
    host.defaults().then(
      (found) => !gone && setDemo(found.demo),
      // Without a demo server, the form is not filled in.
      () => undefined,
    );
    return () => {
      gone = true;
    };
  }, [host]);
  return demo;
}
