/** Who is signed in, at which server, and the actions of the whole application. */
import { useQuery } from "@apollo/client/react";
import { Kbd, Menu, Text, UnstyledButton, useMantineColorScheme } from "@mantine/core";
import {
  IconAppWindow,
  IconCheck,
  IconChevronDown,
  IconDeviceDesktop,
  IconHistory,
  IconLogout,
  IconMoon,
  IconPalette,
  IconRefresh,
  IconSun,
} from "@tabler/icons-react";
import { METADATA } from "../data/client";
import { hostName } from "../format";
import { ariaKey, keys, keyText } from "../keys";
import { frame as words } from "../messages";
import { CURRENT_USER, type CurrentUser } from "../panels/queries";
import { useSession } from "../session/session";
import type { ThemeChoice } from "../theme";
import classes from "./frame.module.css";

/** The actions of the menu, the palette and the keys. */
export interface Actions {
  newWindow: () => void;
  reloadAll: () => void;
  openSession: () => void;
  nextTheme: () => void;
  signOut: () => void;
}

export const THEMES: { choice: ThemeChoice; icon: typeof IconSun }[] = [
  { choice: "auto", icon: IconDeviceDesktop },
  { choice: "light", icon: IconSun },
  { choice: "dark", icon: IconMoon },
];

export function AccountMenu({ actions }: { actions: Actions }) {
  const { status } = useSession();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const { data } = useQuery<CurrentUser>(CURRENT_USER, { context: METADATA });
  const workspace = data?.currentUser?.currentWorkspace?.displayName;
  return (
    <Menu position="bottom-start" width={264} keepMounted={false}>
      <Menu.Target>
        <UnstyledButton className={classes.account} data-testid="account-menu" aria-label={words.account}>
          <div style={{ flex: 1, minWidth: 0 }}>
            <Text fw={600} size="sm" truncate>
              {workspace ?? words.product}
            </Text>
            <Text c="dimmed" size="xs" truncate>
              {hostName(status.server)}
            </Text>
          </div>
          <IconChevronDown size={16} aria-hidden />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {status.person}
          <br />
          {hostName(status.server)}
        </Menu.Label>
        <Item
          icon={IconAppWindow}
          label={words.newWindow}
          shortcut={keys.newWindow}
          onClick={actions.newWindow}
          testid="menu-new-window"
        />
        <Item
          icon={IconRefresh}
          label={words.reloadAll}
          shortcut={keys.reloadAll}
          onClick={actions.reloadAll}
          testid="menu-reload-all"
        />
        <Item
          icon={IconHistory}
          label={words.session}
          shortcut={keys.session}
          onClick={actions.openSession}
          testid="menu-session"
        />
        <Menu.Divider />
        <Menu.Item
          closeMenuOnClick={false}
          leftSection={<IconPalette size={16} />}
          rightSection={<Kbd size="xs">{keyText(keys.theme)}</Kbd>}
          onClick={actions.nextTheme}
          aria-keyshortcuts={ariaKey(keys.theme)}
          data-testid="menu-theme"
        >
          {words.theme}
        </Menu.Item>
        {THEMES.map(({ choice, icon: Icon }) => (
          <Menu.Item
            key={choice}
            closeMenuOnClick={false}
            pl={32}
            leftSection={<Icon size={16} />}
            rightSection={colorScheme === choice && <IconCheck size={16} aria-label={words.chosen} />}
            onClick={() => setColorScheme(choice)}
            data-testid={`menu-theme-${choice}`}
          >
            {words.themes[choice]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Item
          icon={IconLogout}
          label={words.signOut}
          shortcut={keys.signOut}
          onClick={actions.signOut}
          testid="menu-sign-out"
        />
      </Menu.Dropdown>
    </Menu>
  );
}

function Item({
  icon: Icon,
  label,
  shortcut,
  onClick,
  testid,
}: {
  icon: typeof IconSun;
  label: string;
  shortcut: string;
  onClick: () => void;
  testid: string;
}) {
  return (
    <Menu.Item
      leftSection={<Icon size={16} />}
      rightSection={<Kbd size="xs">{keyText(shortcut)}</Kbd>}
      onClick={onClick}
      aria-keyshortcuts={ariaKey(shortcut)}
      data-testid={testid}
    >
      {label}
    </Menu.Item>
  );
}
