/** Asks before records are deleted. */
import { Button, Group, Modal, Text } from "@mantine/core";
import type { ObjectInfo } from "../data/metadata";
import { records as words } from "../messages";

interface Props {
  object: ObjectInfo;
  /** How many records would be deleted; absent: the dialog is closed. */
  count: number | undefined;
  onDelete: () => void;
  onCancel: () => void;
}

export function DeleteDialog({ object, count, onDelete, onCancel }: Props) {
  return (
    <Modal
      opened={count !== undefined}
      onClose={onCancel}
      title={words.deleteTitle(count ?? 0, object.labelSingular.toLowerCase(), object.labelPlural.toLowerCase())}
      closeButtonProps={{ "aria-label": words.close }}
      centered
      transitionProps={{ duration: 0 }}
    >
      <Text>{words.deleteText}</Text>
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={onCancel}>
          {words.cancel}
        </Button>
        <Button color="red.9" data-autofocus onClick={onDelete} data-testid="delete-confirm">
          {words.delete}
        </Button>
      </Group>
    </Modal>
  );
}
