/** A message with a button that takes back what it tells. */
import { Button, Group } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { records as words } from "../messages";

/** Longer than other messages stay: it is read, and then decided on. In milliseconds. */
const SHOWN_MS = 10_000;

export function offerUndo(text: string, undo: () => void): void {
  const id = notifications.show({
    autoClose: SHOWN_MS,
    message: (
      <Group justify="space-between" wrap="nowrap">
        {text}
        <Button
          size="compact-sm"
          variant="default"
          onClick={() => {
            notifications.hide(id);
            undo();
          }}
          data-testid="undo-message"
        >
          {words.undoShort}
        </Button>
      </Group>
    ),
  });
}
