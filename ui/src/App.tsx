/** Chooses the screen for the session's phase. */
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { useState } from "react";
import type { Host, Status } from "./host";
import { indicator } from "./messages";
import { Frame } from "./frame/Frame";
import frameClasses from "./frame/frame.module.css";
import { SkeletonPage } from "./records/Skeleton";
import { WorkspaceProvider } from "./records/workspace";
import { LockedPage } from "./session/LockedPage";
import { QuitDialog } from "./session/QuitDialog";
import { SessionProvider, useSession } from "./session/session";
import { SignInPage } from "./session/SignInPage";
import { cssVariables, theme, themeStorage } from "./theme";

const storage = themeStorage();
/** In the smallest window, messages stand beside the form of a record, and cover none of its fields. In pixels. */
const NOTIFICATION_WIDTH = 360;

export function App({ host }: { host: Host }) {
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={cssVariables}
      colorSchemeManager={storage}
      defaultColorScheme="auto"
    >
      <Notifications position="bottom-left" containerWidth={NOTIFICATION_WIDTH} autoClose={4000} limit={3} />
      <SessionProvider host={host}>
        <Screen />
        <QuitDialog />
      </SessionProvider>
    </MantineProvider>
  );
}

function Screen() {
  const { status } = useSession();
  const owner = useOwner(status);
  switch (screenOf(status, owner.shown)) {
    case "sign_in":
      return <SignInPage server={status.server} email={status.person} />;
    case "locked":
      return <LockedPage />;
    case "opening":
      return <Opening />;
    case "frame":
      return (
        // Another person gets another workspace: nothing of the previous one is kept.
        <WorkspaceProvider key={owner.key}>
          <Frame />
        </WorkspaceProvider>
      );
  }
}

type Shown = "sign_in" | "locked" | "opening" | "frame";

/** An open page stays open in every phase, except after the person's own sign-out. */
function screenOf(status: Status, frameShown: boolean): Shown {
  switch (status.phase) {
    case "signed_out":
      return "sign_in";
    case "locked":
      return frameShown ? "frame" : "locked";
    case "opening":
      return frameShown ? "frame" : "opening";
    case "signed_in":
    case "renewing":
    case "unreachable":
    case "ended":
    case "stopped":
      return "frame";
  }
}

/**
 * Counts the owners of the page in `key`, and says whether the page was `shown` already. A status without a person
 * changes nothing, and neither does the first status with one.
 */
function useOwner(status: Status): { key: number; shown: boolean } {
  const [owner, setOwner] = useState({ server: status.server, person: status.person, shown: false, key: 0 });
  const server = status.server ?? owner.server;
  const person = status.person ?? owner.person;
  const shown = status.phase === "signed_out" ? false : owner.shown || screenOf(status, false) === "frame";
  const other = (was: string | undefined, now: string | undefined) => was !== undefined && was !== now;
  const key = other(owner.server, server) || other(owner.person, person) ? owner.key + 1 : owner.key;
  if (server !== owner.server || person !== owner.person || shown !== owner.shown)
    setOwner({ server, person, shown, key });
  return { key, shown };
}

/** The frame's outline while the stored session is being read. Nothing moves when the real frame follows. */
function Opening() {
  return (
    <div className={frameClasses.frame} aria-busy aria-label={indicator.opening} data-testid="opening">
      <div className={frameClasses.banner} />
      <div className={frameClasses.side} />
      <main className={frameClasses.main}>
        <SkeletonPage />
      </main>
    </div>
  );
}
