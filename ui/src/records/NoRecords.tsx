/** In place of the rows while there are none: still loading, failed, or really none. */
import { Button, Group, Text } from "@mantine/core";
import { errorText } from "../errorText";
import { records as words } from "../messages";
import classes from "./records.module.css";
import { SkeletonRows } from "./Skeleton";
import type { Records } from "./useRecords";

export function NoRecords({ records, isFiltered }: { records: Records; isFiltered: boolean }) {
  return (
    <div className={classes.over}>
      <Reason records={records} isFiltered={isFiltered} />
    </div>
  );
}

function Reason({ records, isFiltered }: { records: Records; isFiltered: boolean }) {
  switch (records.state) {
    case "loading":
      return <SkeletonRows />;
    case "failed":
      return (
        <Group p="lg" gap="sm" role="alert" data-testid="records-failed">
          <Text c="var(--mantine-color-error)">{`${words.failed} ${errorText(records.error)}`}</Text>
          <Button size="compact-sm" variant="default" onClick={records.reload}>
            {words.tryAgain}
          </Button>
        </Group>
      );
    case "ready":
      return (
        <Group p="lg" data-testid="records-empty">
          <Text c="dimmed">{isFiltered ? words.emptyFiltered : words.empty}</Text>
        </Group>
      );
  }
}
