/** Below the table: how much of the records is loaded, and what can be done with the selected ones. */
import { Button, Group } from "@mantine/core";
import { records as words } from "../messages";
import classes from "./records.module.css";
import type { Records } from "./useRecords";

interface Props {
  records: Records;
  /** How many rows the table shows, unconfirmed new records included. */
  rowCount: number;
  selectedCount: number;
  onCopy: () => void;
  onDelete: () => void;
}

export function RecordFooter({ records, rowCount, selectedCount, onCopy, onDelete }: Props) {
  const { total, state, more } = records;
  const hasFailed = more === "failed" || (state === "failed" && rowCount > 0);
  return (
    <footer className={classes.foot}>
      <span data-testid="loaded" role="status">
        {total === undefined ? words.loading : words.loaded(records.rows.length, total)}
      </span>
      {more === "loading" && <span>{words.loading}</span>}
      {hasFailed && (
        <Group gap={8} c="var(--mantine-color-error)">
          {words.moreFailed}
          <Button size="compact-xs" variant="default" onClick={more === "failed" ? records.loadMore : records.reload}>
            {words.tryAgain}
          </Button>
        </Group>
      )}
      <span className={classes.space} />
      {selectedCount > 0 && (
        <>
          <span>{words.selected(selectedCount)}</span>
          <Button size="compact-xs" variant="default" onClick={onCopy}>
            {words.copy}
          </Button>
          <Button size="compact-xs" variant="default" c="var(--mantine-color-error)" onClick={onDelete}>
            {words.delete}
          </Button>
        </>
      )}
    </footer>
  );
}
