/** The session's state at the bottom of the window: a dot or a key, a few words, and details on hover. */
import { Group, Text, Tooltip, UnstyledButton } from "@mantine/core";
import { IconKey } from "@tabler/icons-react";
import type { Status } from "../host";
import { exactTime } from "../format";
import { banner, ended, indicator as words, notSaved } from "../messages";
import classes from "./session.module.css";
import { useCountdown, useHeld, useSession } from "./session";

/** Most renewals take less, and are not shown. */
const PULSE_AFTER_MS = 300;

export function Indicator({ onOpen }: { onOpen?: () => void }) {
  const { status } = useSession();
  const pulsing = useHeld(status.phase === "renewing", PULSE_AFTER_MS);
  const seconds = useCountdown(status.phase === "unreachable" ? status.nextAttemptAt : undefined);
  const unsaved = status.storage.state === "not_saved" && (status.phase === "signed_in" || status.phase === "renewing");
  const shown = text(status, pulsing, seconds, unsaved);
  const key = unsaved || status.phase === "locked";
  return (
    <Tooltip
      label={facts(status)}
      multiline
      maw={320}
      position="top-start"
      events={{ hover: true, focus: true, touch: true }}
    >
      <UnstyledButton
        className={classes.indicator}
        onClick={onOpen}
        data-testid="session-indicator"
        data-phase={status.phase}
        data-storage={status.storage.state}
        data-pulsing={pulsing || undefined}
      >
        <Group gap={8} wrap="nowrap">
          {key ? (
            <IconKey size={16} className={classes.key} data-colour={unsaved ? "warn" : "grey"} aria-hidden />
          ) : (
            <span
              className={classes.dot}
              data-colour={colour(status)}
              data-pulsing={pulsing || undefined}
              aria-hidden
            />
          )}
          <Text size="sm" truncate role="status">
            {shown}
          </Text>
        </Group>
      </UnstyledButton>
    </Tooltip>
  );
}

function text(status: Status, pulsing: boolean, seconds: number | undefined, unsaved: boolean): string {
  switch (status.phase) {
    case "renewing":
      return pulsing ? words.renewing : unsaved ? words.not_saved : words.signed_in;
    case "signed_in":
      return unsaved ? words.not_saved : words.signed_in;
    case "unreachable":
      if (seconds !== undefined) return words.tryingIn(seconds);
      return notReached(status);
    case "opening":
    case "signed_out":
    case "locked":
    case "ended":
    case "stopped":
      return words[status.phase];
  }
}

function notReached(status: Status): string {
  switch (status.unreachable) {
    case "held_by_other_process":
      return words.held;
    case "state_folder":
      return words.stateFolder;
    case "server":
    case undefined:
      return words.unreachable;
  }
}

function colour(status: Status): "good" | "warn" | "bad" | "grey" {
  switch (status.phase) {
    case "signed_in":
    case "renewing":
      return "good";
    case "unreachable":
      return "warn";
    case "ended":
    case "stopped":
      return "bad";
    case "opening":
    case "signed_out":
    case "locked":
      return "grey";
  }
}

function facts(status: Status): string {
  const who = words.signedInAs(status.person, status.server);
  switch (status.phase) {
    case "unreachable":
      return status.nextAttemptAt ? `${who}. ${banner.nextAttempt(status.nextAttemptAt)}` : who;
    case "ended":
      return status.ending ? `${ended.reason(status.ending)} ${exactTime(status.ending.at)}` : who;
    case "opening":
    case "signed_out":
    case "signed_in":
    case "renewing":
    case "locked":
    case "stopped":
      return status.storage.state === "not_saved"
        ? `${who}. ${notSaved[status.storage.reason ?? "keyring_failed"].text}`
        : who;
  }
}
