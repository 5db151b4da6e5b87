/** A line above the page while the server is unreachable or the session is not saved. */
import { Button } from "@mantine/core";
import { useState } from "react";
import type { Status } from "../host";
import { exactTime } from "../format";
import { banner as words, indicator, notSaved } from "../messages";
import classes from "./session.module.css";
import { useCountdown, useSession } from "./session";

export function Banner({ waiting, onTryNow }: { waiting: number; onTryNow: () => Promise<void> }) {
  const { status } = useSession();
  const [busy, setBusy] = useState(false);
  const [fixing, setFixing] = useState(false);
  const seconds = useCountdown(status.phase === "unreachable" ? status.nextAttemptAt : undefined);

  const tryNow = async () => {
    setBusy(true);
    await onTryNow();
    setBusy(false);
  };
  const button = (label: string) => (
    <Button size="compact-sm" variant="default" loading={busy} onClick={() => void tryNow()} data-testid="try-now">
      {label}
    </Button>
  );

  if (status.phase === "unreachable") {
    return (
      <div className={classes.banner} role="status" data-testid="session-banner" data-kind="unreachable">
        <p>
          {notReached(status)}
          {waiting > 0 && ` ${words.waiting(waiting)}`}
        </p>
        {seconds !== undefined && (
          // Hidden from screen readers, which would read every second.
          <span aria-hidden title={exactTime(status.nextAttemptAt ?? 0)} data-testid="countdown">
            {indicator.tryingIn(seconds)}
          </span>
        )}
        {button(words.tryNow)}
      </div>
    );
  }

  if (status.storage.state === "not_saved" && (status.phase === "signed_in" || status.phase === "renewing")) {
    const advice = notSaved[status.storage.reason ?? "keyring_failed"];
    return (
      <div className={classes.banner} role="status" data-testid="session-banner" data-kind="not_saved">
        <p>{advice.text}</p>
        <Button size="compact-sm" variant="default" aria-expanded={fixing} onClick={() => setFixing(!fixing)}>
          {words.howToFix}
        </Button>
        {button(words.tryAgain)}
        {fixing && <p className={classes.fix}>{`${advice.fix} ${words.then}`}</p>}
      </div>
    );
  }
  return null;
}

function notReached(status: Status): string {
  switch (status.unreachable) {
    case "held_by_other_process":
      return words.held;
    case "state_folder":
      return words.stateFolder;
    case "server":
    case undefined:
      return words.unreachable(status.server);
  }
}
