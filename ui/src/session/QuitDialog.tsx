/** Asks before the last window closes where quitting would sign the person out, or lose edits. */
import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useEffect, useState } from "react";
import type { Quitting } from "../host";
import { notSaved, quitting as words } from "../messages";
import { useSession } from "./session";

/** Above every other dialog, also that of an ended session (250): the window is closing. */
const OVER_EVERYTHING = 280;

/** How long a keyring may take to save, in milliseconds: the core's limit `vaultWriteMs`. */
const SAVE_LIMIT_MS = 3_000;

export function QuitDialog() {
  const { host, status } = useSession();
  /** What quitting would lose. Kept while the dialog closes, so that it is not empty then. */
  const [lost, setLost] = useState<Quitting>({ session: false, edits: false });
  const [opened, setOpened] = useState(false);
  const [saving, setSaving] = useState(false);
  const [tried, setTried] = useState(false);

  useEffect(() => {
    let stop: (() => void) | undefined;
    let gone = false;
    const ask = (quitting: Quitting) => {
      if (gone) return;
      setLost(quitting);
      setTried(false);
      setOpened(true);
    };
    void host.onQuitting(ask).then((end) => (gone ? end() : (stop = end)));
    return () => {
      gone = true;
      stop?.();
    };
  }, [host]);

  // As soon as the session is saved, nothing would be lost, and the person wants to quit.
  const isSaved = status.storage.state === "saved";
  useEffect(() => {
    if (opened && isSaved && !lost.edits) void host.quit();
  }, [host, opened, isSaved, lost]);

  const stay = () => {
    setOpened(false);
    void host.stay();
  };
  const save = async () => {
    setSaving(true);
    await host.retryNow().catch(() => undefined);
    // This only starts the save. Its success changes the status; another failure does not.
    await new Promise((over) => setTimeout(over, SAVE_LIMIT_MS));
    setSaving(false);
    setTried(true);
  };
  const isUnsaved = status.storage.state === "not_saved";
  const reason = isUnsaved ? notSaved[status.storage.reason ?? "keyring_failed"] : undefined;

  return (
    <Modal
      opened={opened}
      onClose={stay}
      withCloseButton={false}
      title={isUnsaved ? words.title : words.titleEdits}
      centered
      zIndex={OVER_EVERYTHING}
      size={448}
      transitionProps={{ duration: 120 }}
    >
      <Stack gap="md" data-testid="quit-dialog">
        <div>
          {reason && (
            <Text>
              {reason.text} {words.lost}
            </Text>
          )}
          {lost.edits && <Text>{words.edits}</Text>}
          <Text c="dimmed" size="sm" mt={4} role="status">
            {tried && !saving && `${words.stillNot} `}
            {reason && `${reason.fix} ${words.then}`}
          </Text>
        </div>
        <Group justify="flex-end">
          <Button variant="default" onClick={stay} data-autofocus data-testid="quit-stay">
            {words.stay}
          </Button>
          {isUnsaved && (
            <Button variant="default" loading={saving} onClick={() => void save()} data-testid="quit-save">
              {words.save}
            </Button>
          )}
          <Button color="red.9" onClick={() => void host.quit()} data-testid="quit-anyway">
            {words.quit}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
