/** The menu of everything that can be done to the records, with the key of each. */
import { ActionIcon, Kbd, Menu } from "@mantine/core";
import { IconDots } from "@tabler/icons-react";
import { ariaKey, keys, keyText } from "../keys";
import { records as words } from "../messages";

/** What can be done to the selected records, or to the focused one where none is selected. */
export interface RecordActions {
  open: () => void;
  editCell: () => void;
  copy: () => void;
  undo: () => void;
  /** Asks first. */
  remove: () => void;
  reload: () => void;
  resetColumns: () => void;
}

export function ActionMenu({ actions }: { actions: RecordActions }) {
  return (
    <Menu position="bottom-end" width={248}>
      <Menu.Target>
        <ActionIcon variant="default" size={26} aria-label={words.more} data-testid="more-actions">
          <IconDots size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Item label={words.open} shortcut={keys.open} onClick={actions.open} />
        <Item label={words.edit} shortcut={keys.edit} onClick={actions.editCell} />
        <Item label={words.copy} shortcut={keys.copy} onClick={actions.copy} />
        <Item label={words.undo} shortcut={keys.undo} onClick={actions.undo} testid="undo" />
        <Item label={words.delete} shortcut={keys.delete} onClick={actions.remove} testid="delete-record" color="red" />
        <Menu.Divider />
        <Item label={words.reload} onClick={actions.reload} />
        <Item label={words.resetColumns} onClick={actions.resetColumns} />
      </Menu.Dropdown>
    </Menu>
  );
}

interface ItemProps {
  label: string;
  shortcut?: string;
  onClick: () => void;
  testid?: string;
  color?: "red";
}

function Item({ label, shortcut, onClick, testid, color }: ItemProps) {
  return (
    <Menu.Item
      onClick={onClick}
      rightSection={shortcut && <Kbd size="xs">{keyText(shortcut)}</Kbd>}
      aria-keyshortcuts={shortcut && ariaKey(shortcut)}
      data-testid={testid}
      c={color && "var(--mantine-color-error)"}
    >
      {label}
    </Menu.Item>
  );
}
