/** What happened to the session, newest first. */
import { Badge, Button, Drawer, Group, ScrollArea, Skeleton, Stack, Table, Text } from "@mantine/core";
import { useCallback, useEffect, useState } from "react";
import type { JournalEntry } from "../host";
import { copyText } from "../clipboard";
import { errorText } from "../errorText";
import { exactTime, timeWithSeconds } from "../format";
import { indicator, journal as words } from "../messages";
import { useSession } from "./session";

export function JournalDrawer({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Drawer
      opened={opened}
      onClose={onClose}
      position="right"
      size={480}
      title={words.title}
      closeButtonProps={{ "aria-label": words.close }}
    >
      {opened && <Journal />}
    </Drawer>
  );
}

function Journal() {
  const { host, status } = useSession();
  const [entries, setEntries] = useState<JournalEntry[]>();
  const [problem, setProblem] = useState<string>();
  const [copied, setCopied] = useState<boolean>();
  const read = useCallback(
    () =>
      host.journal().then(
        (found) => {
          setEntries([...found].sort((a, b) => b.at - a.at));
          setProblem(undefined);
        },
        (error: unknown) => setProblem(errorText(error)),
      ),
    [host],
  );
  const copy = () =>
    host.diagnostics().then(
      async (text) => setCopied(await copyText(text)),
      (error: unknown) => setProblem(errorText(error)),
    );
  // Each change of the status has added an entry.
  useEffect(() => void read(), [read, status.revision]);

  return (
    <Stack gap="md">
      <Table withRowBorders={false} layout="fixed">
        <Table.Tbody>
          <Fact name={words.state} value={indicator[status.phase]} />
          <Fact name={words.account} value={status.person} />
          <Fact name={words.server} value={status.server} />
        </Table.Tbody>
      </Table>
      <Group justify="flex-end" gap="xs">
        {copied !== undefined && (
          <Text size="xs" c="dimmed" role="status" flex={1}>
            {copied ? words.copied : words.notCopied}
          </Text>
        )}
        <Button size="compact-sm" variant="default" onClick={() => void copy()}>
          {words.copy}
        </Button>
        <Button size="compact-sm" variant="default" onClick={() => void read()}>
          {words.refresh}
        </Button>
      </Group>
      {problem && <Text c="var(--mantine-color-error)">{`${words.failed} ${problem}`}</Text>}
      {!entries && !problem && <Skeleton h={160} />}
      {entries?.length === 0 && <Text c="dimmed">{words.empty}</Text>}
      <ScrollArea.Autosize mah="calc(100vh - 280px)" type="auto">
        <Stack gap={0} component="ol" p={0} m={0} data-testid="journal">
          {entries?.map((entry, index) => (
            <Line key={`${entry.at}-${index}`} entry={entry} />
          ))}
        </Stack>
      </ScrollArea.Autosize>
    </Stack>
  );
}

function Line({ entry }: { entry: JournalEntry }) {
  return (
    <Group
      component="li"
      gap="sm"
      wrap="nowrap"
      align="flex-start"
      py={8}
      data-what={entry.what}
      style={{ borderTop: "1px solid var(--hold-line)" }}
    >
      <Text size="sm" c="dimmed" title={exactTime(entry.at)} style={{ fontVariantNumeric: "tabular-nums" }}>
        {timeWithSeconds(entry.at)}
      </Text>
      <div>
        <Text size="sm" fw={600}>
          {words.words[entry.what]}
        </Text>
        <Group gap={4} mt={4}>
          {Object.entries(entry.facts).map(([name, value]) => (
            <Badge key={name} variant="default" tt="none" fw={400} radius="sm">
              {`${name.replaceAll("_", " ")}: ${Array.isArray(value) ? value.map((attempt) => attempt.verdict).join(", ") : String(value)}`}
            </Badge>
          ))}
        </Group>
      </div>
    </Group>
  );
}

function Fact({ name, value }: { name: string; value: string | undefined }) {
  return (
    <Table.Tr>
      <Table.Td c="dimmed" w={96}>
        {name}
      </Table.Td>
      <Table.Td>{value ?? "–"}</Table.Td>
    </Table.Tr>
  );
}
