/** The window of a signed-in person. It stays mounted when the session ends, until the next sign-in. */
import { Button, Center, Group, Modal, Text, useMantineColorScheme } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { notifications } from "@mantine/notifications";
import { useEffect, useMemo, useState, type MouseEvent } from "react";
import { errorText } from "../errorText";
import { hostName } from "../format";
import { keys, OBJECT_KEYS } from "../keys";
import { frame as words, signOut as signOutWords } from "../messages";
import { PanelsPage } from "../panels/PanelsPage";
import { RecordPage } from "../records/RecordPage";
import { SkeletonPage } from "../records/Skeleton";
import { useEditList, useHasDrafts, useIsKept, useWorkspace } from "../records/workspace";
import { Banner } from "../session/Banner";
import { EndedDialog } from "../session/EndedDialog";
import { JournalDrawer } from "../session/JournalDrawer";
import { useSession } from "../session/session";
import type { Actions } from "./AccountMenu";
import classes from "./frame.module.css";
import { Palette } from "./Palette";
import { go, PANELS, useRoute } from "./route";
import { Sidebar } from "./Sidebar";

export function Frame() {
  const { host, status } = useSession();
  const { edits, schema, reloadAll } = useWorkspace();
  const list = useEditList();
  const hasDrafts = useHasDrafts();
  const isKept = useIsKept();
  const route = useRoute();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const [journal, setJournal] = useState(false);
  const [leaving, setLeaving] = useState(false);
  const [record, setRecord] = useState<{ page: string; id: string }>();

  const page = route || schema?.visible[0]?.namePlural || "";
  const object = schema?.visible.find((one) => one.namePlural === page);
  const waiting = list.filter((edit) => edit.state === "waiting" || edit.state === "uncertain").length;
  const hasUnsaved = list.length > 0 || hasDrafts;

  useEffect(() => {
    const title = [
      object?.labelPlural ?? (page === PANELS ? words.panels : undefined),
      hostName(status.server),
      words.product,
    ];
    void host.setTitle(title.filter(Boolean).join(" – ")).catch(() => undefined);
  }, [host, object, page, status.server]);

  const actions = useMemo((): Actions & {
    tryNow: () => Promise<void>;
    leave: (removes?: boolean) => Promise<void>;
  } => {
    const tell = (error: unknown) => void notifications.show({ message: errorText(error), color: "red" });
    const leave = async (removes = false) => {
      try {
        // Signed out first: the page keeps nothing more from then on.
        await host.signOut();
        if (removes && status.server) await host.forgetUnsent({ server: status.server, person: status.person ?? "" });
      } catch (error) {
        tell(error);
      }
    };
    return {
      newWindow: () => void host.openWindow().catch(tell),
      reloadAll,
      openSession: () => setJournal(true),
      nextTheme: () => setColorScheme(colorScheme === "auto" ? "light" : colorScheme === "light" ? "dark" : "auto"),
      signOut: () => (hasUnsaved ? setLeaving(true) : void leave()),
      leave,
      tryNow: () =>
        host.retryNow().then(
          () => edits.flush(),
          // The banner shows the failure.
          () => undefined,
        ),
    };
  }, [host, edits, hasUnsaved, status.server, status.person, reloadAll, colorScheme, setColorScheme]);

  useHotkeys(
    [
      [keys.newWindow, actions.newWindow],
      [keys.reloadAll, actions.reloadAll],
      [keys.panels, () => go(PANELS)],
      [keys.session, actions.openSession],
      [keys.theme, actions.nextTheme],
      [keys.signOut, () => setLeaving(true)],
      [keys.tryNow, () => void actions.tryNow()],
      ...(schema?.visible ?? [])
        .slice(0, OBJECT_KEYS)
        .map((one, index): [string, () => void] => [keys.object(index), () => go(one.namePlural)]),
    ],
    [],
  );

  return (
    <div className={classes.frame}>
      <div className={classes.banner}>
        <a className={classes.skip} href="#records" onClick={skipToRecords}>
          {words.skip}
        </a>
        <Banner waiting={waiting} onTryNow={actions.tryNow} />
      </div>
      <Sidebar page={page} actions={actions} />
      <main className={classes.main} id="records" tabIndex={-1}>
        {page === PANELS ? (
          <PanelsPage />
        ) : object && schema ? (
          <RecordPage
            key={object.id}
            object={object}
            schema={schema}
            opened={record?.page === page ? record.id : undefined}
            onOpened={(id) => setRecord(id === undefined ? undefined : { page, id })}
            onDraft={({ object: singular, id }) => {
              const target = schema.bySingular.get(singular);
              if (!target) return;
              setRecord({ page: target.namePlural, id });
              go(target.namePlural);
            }}
          />
        ) : schema ? (
          <Center h="100%">
            <Text c="dimmed">{words.noObject}</Text>
          </Center>
        ) : (
          <SkeletonPage />
        )}
      </main>
      <Palette
        page={page}
        actions={actions}
        onRecord={(target, id) => {
          setRecord({ page: target.namePlural, id });
          go(target.namePlural);
        }}
      />
      <JournalDrawer opened={journal} onClose={() => setJournal(false)} />
      <Modal
        opened={leaving}
        onClose={() => setLeaving(false)}
        title={signOutWords.title}
        size={520}
        centered
        transitionProps={{ duration: 0 }}
      >
        <Text>{signOutWords.ask(status.person, status.server)}</Text>
        {hasUnsaved && <Text mt={8}>{isKept ? signOutWords.kept(status.person) : signOutWords.notKept}</Text>}
        <Group justify="flex-end" mt="md">
          <Button variant="default" onClick={() => setLeaving(false)} data-autofocus>
            {signOutWords.stay}
          </Button>
          {hasUnsaved && (
            <Button color="red.9" onClick={() => void actions.leave(true)} data-testid="sign-out-remove">
              {signOutWords.remove}
            </Button>
          )}
          <Button onClick={() => void actions.leave()} data-testid="sign-out-anyway">
            {signOutWords.go}
          </Button>
        </Group>
      </Modal>
      <EndedDialog />
    </div>
  );
}

function skipToRecords(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById("records")?.focus();
}
