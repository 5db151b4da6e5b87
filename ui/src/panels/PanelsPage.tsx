/** Eight queries at once, as of a dashboard. After an expiry of the access token they share one renewal. */
import { useQuery } from "@apollo/client/react";
import { Button, Skeleton, Text } from "@mantine/core";
import { NetworkStatus } from "@apollo/client";
import { useCallback } from "react";
import { METADATA } from "../data/client";
import { errorText } from "../errorText";
import { panels as words } from "../messages";
import recordClasses from "../records/records.module.css";
import { useResume, useWorkspace } from "../records/workspace";
import classes from "./panels.module.css";
import { PANEL_QUERIES, type Panel } from "./queries";

export function PanelsPage() {
  const { reloadAll } = useWorkspace();
  return (
    <section className={recordClasses.page} aria-label={words.title}>
      <header className={recordClasses.head}>
        <h1>{words.title}</h1>
        <span className={recordClasses.space} />
        <Button size="compact-sm" onClick={reloadAll} data-testid="panels-reload">
          {words.reload}
        </Button>
      </header>
      <div className={classes.scroll}>
        <Text c="dimmed" px="md" pt="md" size="sm">
          {words.intro}
        </Text>
        <div className={classes.panels}>
          {PANEL_QUERIES.map((panel, index) => (
            <PanelView key={index} panel={panel} index={index} />
          ))}
        </div>
      </div>
    </section>
  );
}

function PanelView({ panel, index }: { panel: Panel; index: number }) {
  const { data, previousData, error, networkStatus, refetch } = useQuery(panel.query, {
    context: panel.endpoint === "metadata" ? METADATA : undefined,
    fetchPolicy: "network-only",
    notifyOnNetworkStatusChange: true,
  });
  useResume(
    useCallback(() => {
      if (error) refetch().catch(() => undefined);
    }, [error, refetch]),
  );
  const loading = networkStatus === NetworkStatus.loading || networkStatus === NetworkStatus.refetch;
  // What was loaded stays on the screen while the server is unreachable.
  const shown = data ?? previousData;
  const state = loading ? "loading" : error ? "error" : "ready";
  return (
    <article className={classes.panel} data-testid={`panel-${index + 1}`} data-state={state} aria-busy={loading}>
      <h2>{words.names[index]}</h2>
      {state === "error" && (
        <Text component="div" size="sm" mb={4} c="var(--mantine-color-error)" role="alert">
          {shown ? words.stale : `${words.failed} ${errorText(error)}`}
        </Text>
      )}
      {state === "loading" && !shown && <Skeleton h={20} w="60%" />}
      {shown !== undefined && panel.lines(shown).map((line, at) => <p key={at}>{line}</p>)}
    </article>
  );
}
