/**
 * Covers the page when the session has ended. The page below stays as it is, with its scroll position and unsaved text.
 * Only a sign-in to another account closes it, and that asks first.
 */
import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useState, type ReactNode } from "react";
import type { SignInRequest, Status } from "../host";
import { exactTime, hostName } from "../format";
import { ended as words } from "../messages";
import { useSession } from "./session";
import { SignIn } from "./signIn/SignIn";

/** Above the record form and the other dialogs (200), below its own list of servers (300). */
const OVER_OTHER_DIALOGS = 250;

/** The dialog with every way to sign in is as high as this, in pixels. */
const HIGHEST = 541;
/** Half of what is left, so that the dialog does not jump when the server is known. */
const TOP = `max(8px, calc(50vh - ${HIGHEST / 2}px))`;

export function EndedDialog() {
  const { status } = useSession();
  const [asked, setAsked] = useState<{ request: SignInRequest; answer: (go: boolean) => void }>();
  const before = (request: SignInRequest) => {
    if (isSame(status, request)) return true;
    return new Promise<boolean>((answer) => setAsked({ request, answer }));
  };
  const answer = (go: boolean) => {
    asked?.answer(go);
    setAsked(undefined);
  };
  return (
    <Modal
      opened={status.phase === "ended"}
      onClose={() => undefined}
      withCloseButton={false}
      closeOnClickOutside={false}
      closeOnEscape={false}
      title={asked ? words.otherTitle : words.title}
      yOffset={TOP}
      zIndex={OVER_OTHER_DIALOGS}
      size={448}
      overlayProps={{ backgroundOpacity: 0.35 }}
      transitionProps={{ duration: 120 }}
    >
      <Kept status={status}>
        {(shown) => (
          <div data-testid="ended-dialog">
            <Stack gap="md" display={asked ? "none" : undefined}>
              <div>
                <Text data-testid="ended-reason" title={shown.ending && exactTime(shown.ending.at)}>
                  {words.reason(shown.ending)}
                </Text>
                <Text c="dimmed" size="sm" mt={4}>
                  {words.kept}
                </Text>
              </div>
              <SignIn
                server={shown.server}
                email={shown.person}
                submitText={words.signInAgain}
                submitTestId="sign-in-again"
                before={async (request) => before(request)}
              />
            </Stack>
            {asked && (
              <Stack gap="md" data-testid="other-account">
                <Text>
                  {words.other(
                    words.who(shown.person, shown.server),
                    words.who(asked.request.email, asked.request.server),
                  )}
                </Text>
                <Group justify="flex-end">
                  <Button
                    variant="default"
                    onClick={() => answer(false)}
                    data-autofocus
                    data-testid="other-account-stay"
                  >
                    {words.otherStay(shown.person)}
                  </Button>
                  <Button color="red.9" onClick={() => answer(true)} data-testid="other-account-go">
                    {words.otherGo(asked.request.email, asked.request.server)}
                  </Button>
                </Group>
              </Stack>
            )}
          </div>
        )}
      </Kept>
    </Modal>
  );
}

/** Keeps the last ended status, so that the dialog is not empty while it fades out. */
function Kept({ status, children }: { status: Status; children: (status: Status) => ReactNode }) {
  const [shown, setShown] = useState(status);
  if (status.phase === "ended" && status !== shown) setShown(status);
  return children(shown);
}

/**
 * Whether it is the same person at the same server, as far as that is known before: by browser, only the server is. A typed
 * address may have no scheme, or a slash at its end.
 */
export function isSame({ person, server }: Status, request: SignInRequest): boolean {
  const plain = (address: string) => hostName(address.trim()).replace(/\/+$/, "").toLowerCase();
  const isSamePerson = !person || !request.email || person.toLowerCase() === request.email.toLowerCase();
  return isSamePerson && (server === undefined || plain(server) === plain(request.server));
}
