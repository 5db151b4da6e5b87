/** The whole window before the first sign-in and after the person's own sign-out. */
import { Box, Button, Paper, Stack, Text, Title } from "@mantine/core";
import { useEffect, useState } from "react";
import type { DemoAccount } from "../host";
import { frame, locked as lockedWords, signIn as words } from "../messages";
import { useHost } from "./session";
import { SignIn } from "./signIn/SignIn";

/** The form with every way to sign in is as high as this, in pixels. */
const HIGHEST = 556;
/** Half of what is left: the form begins at the same height with every way, and does not jump when the server is known. */
const TOP = `max(8px, calc(50vh - ${HIGHEST / 2}px))`;

export function SignInPage({ server, email, onBack }: { server?: string; email?: string; onBack?: () => void }) {
  const demo = useDemo();
  return (
    <Box component="main" h="100vh" px="md" pb={8} pt={TOP} bg="var(--hold-side)" style={{ overflowY: "auto" }}>
      <Paper withBorder px="xl" py="lg" w="100%" maw={416} mx="auto" radius="md">
        <Stack gap="md">
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
          <SignIn server={server} email={email} demo={demo} />
          {onBack && (
            <Button variant="subtle" onClick={onBack}>
              {lockedWords.back}
            </Button>
          )}
        </Stack>
      </Paper>
    </Box>
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
