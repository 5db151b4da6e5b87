/** Chooses the screen for the session's phase. */
import { Box, MantineProvider } from "@mantine/core";
import { Notifications, notifications } from "@mantine/notifications";
import { useEffect, useState } from "react";
import type { Host, Status } from "./host";
import { ended as endedWords, indicator } from "./messages";
import { Frame } from "./frame/Frame";
import frameClasses from "./frame/frame.module.css";
import { SkeletonPage } from "./records/Skeleton";
import { WorkspaceProvider } from "./records/workspace";
import { InsecureMark } from "./session/InsecureMark";
import { LockedPage } from "./session/LockedPage";
import { QuitDialog } from "./session/QuitDialog";
import { SessionProvider, useSession } from "./session/session";
import { SignInPage } from "./session/SignInPage";
import { cssVariables, theme, themeStorage } from "./theme";

const storage = themeStorage();
/** In the smallest window, messages stand beside the form of a record, and cover none of its fields. In pixels. */
const NOTIFICATION_WIDTH = 360;
/** How long it is said that another person's page was closed, in milliseconds: nobody has asked for that. */
const REPLACED_SHOWN_MS = 15_000;

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
  const { replaced, server, person } = owner;
  useEffect(() => {
    if (!replaced) return;
    const { who } = endedWords;
    const message = endedWords.otherCame(who(replaced.person, replaced.server), who(person, server));
    notifications.show({ id: "replaced", message, autoClose: REPLACED_SHOWN_MS });
  }, [replaced, server, person]);
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

interface PageOwner {
  /** Nothing is known of an owner before the first status with a server. */
  server: string | undefined;
  /** Not every server says who signed in. */
  person: string | undefined;
  /** Counts the owners of the page. */
  key: number;
  /** Whether the page was shown already. */
  shown: boolean;
  /** Whose page this one has taken the place of, without a sign-out between them. */
  replaced: Pick<Status, "server" | "person"> | undefined;
}

/** Whose page it is. A status without a server says nothing of that. */
function useOwner(status: Status): PageOwner {
  const [owner, setOwner] = useState<PageOwner>(NOBODY);
  const shown = status.phase === "signed_out" ? false : owner.shown || screenOf(status, false) === "frame";
  const { server = owner.server } = status;
  const person = status.server === undefined ? owner.person : status.person;
  const isOther = owner.server !== undefined && (owner.server !== server || owner.person !== person);
  if (server === owner.server && person === owner.person && shown === owner.shown) return owner;
  const key = isOther ? owner.key + 1 : owner.key;
  const next = { server, person, key, shown, replaced: isOther && owner.shown ? owner : undefined };
  setOwner(next);
  return next;
}

const NOBODY: PageOwner = { server: undefined, person: undefined, key: 0, shown: false, replaced: undefined };

/** The frame's outline while the stored session is being read. Nothing moves when the real frame follows. */
function Opening() {
  return (
    <div className={frameClasses.frame} aria-busy aria-label={indicator.opening} data-testid="opening">
      <div className={frameClasses.banner} />
      <div className={frameClasses.side}>
        <Box mt="auto">
          <InsecureMark />
        </Box>
      </div>
      <main className={frameClasses.main}>
        <SkeletonPage />
      </main>
    </div>
  );
}
