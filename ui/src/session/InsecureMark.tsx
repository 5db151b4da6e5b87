/**
 * Says that others on the network can read everything: the server is reached over plain http, which a setting accepts for
 * it. It stays for as long as that is so, and nothing dismisses it.
 */
import { Group, Popover, Text, UnstyledButton } from "@mantine/core";
import { IconLockOpen } from "@tabler/icons-react";
import { useId } from "react";
import { insecure as words } from "../messages";
import classes from "./session.module.css";
import { useSession } from "./session";

/** Two words, where there is little room. A click shows the whole sentence; a screen reader reads it with them. */
export function InsecureMark() {
  const { status } = useSession();
  const id = useId();
  if (!status.insecure) return null;
  const sentence = words.sentence(status.server);
  return (
    <>
      <Popover width={280} position="top-start" withArrow shadow="md">
        <Popover.Target>
          <UnstyledButton
            className={classes.insecure}
            title={sentence}
            aria-describedby={id}
            data-testid="insecure-mark"
          >
            <IconLockOpen size={16} className={classes.lock} aria-hidden />
            {words.mark}
          </UnstyledButton>
        </Popover.Target>
        <Popover.Dropdown>
          <Text size="sm">{sentence}</Text>
        </Popover.Dropdown>
      </Popover>
      <span id={id} hidden>
        {sentence}
      </span>
    </>
  );
}

/** The whole sentence, where a person signs in or waits. */
export function InsecureNote() {
  const { status } = useSession();
  if (!status.insecure) return null;
  return (
    <Group className={classes.insecure} wrap="nowrap" data-testid="insecure-note">
      <IconLockOpen size={16} className={classes.lock} aria-hidden />
      <p>
        <strong>{words.mark}.</strong> {words.sentence(status.server)}
      </p>
    </Group>
  );
}
