/** The changes that the server has not confirmed: what each one is, its state, and what can be done. */
import { Button, Group, Popover, ScrollArea, Text } from "@mantine/core";
import { IconClock, IconAlertTriangle } from "@tabler/icons-react";
import { useState } from "react";
import type { Edit } from "../data/edits";
import { kindOf, type Row } from "../data/fields";
import type { ObjectInfo } from "../data/metadata";
import { ariaKey, keys, keyText } from "../keys";
import { edits as words } from "../messages";
import classes from "./records.module.css";
import { useEditList, useIsKept, useWorkspace } from "./workspace";
import { useHotkeys } from "@mantine/hooks";

export function PendingEdits() {
  const { schema } = useWorkspace();
  const list = useEditList().filter((edit) => edit.state !== "sending");
  const isKept = useIsKept();
  const [opened, setOpened] = useState(false);
  useHotkeys([[keys.pending, () => setOpened((was) => !was)]], []);
  if (list.length === 0) return null;
  const bad = !isKept || list.some((edit) => edit.state === "conflict" || edit.state === "failed");
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" width={368} trapFocus returnFocus>
      <Popover.Target>
        <Button
          variant="default"
          size="compact-sm"
          onClick={() => setOpened(!opened)}
          leftSection={
            bad ? (
              <IconAlertTriangle size={16} color="var(--hold-bad)" />
            ) : (
              <IconClock size={16} color="var(--hold-warn)" />
            )
          }
          aria-keyshortcuts={ariaKey(keys.pending)}
          title={keyText(keys.pending)}
          data-testid="pending-edits"
          data-count={list.length}
        >
          {words.button(list.length)}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Text fw={600} mb={4} tabIndex={-1} data-autofocus>
          {words.title}
        </Text>
        {!isKept && (
          <Text size="sm" c="var(--mantine-color-error)" role="alert">
            {words.notKept}
          </Text>
        )}
        <ScrollArea.Autosize mah={320}>
          {list.map((edit) => (
            <Pending key={edit.key} edit={edit} object={schema?.bySingular.get(edit.object)} />
          ))}
        </ScrollArea.Autosize>
      </Popover.Dropdown>
    </Popover>
  );
}

function Pending({ edit, object }: { edit: Edit; object: ObjectInfo | undefined }) {
  const { edits } = useWorkspace();
  const field = object?.fieldsList.find((one) => one.name === edit.field);
  const value =
    field && field.type !== "RELATION" ? kindOf(field)?.text(edit.value, field) : (edit.value as Row | null)?.id && "…";
  const title = [words.kinds[edit.kind], object?.labelSingular, edit.name].filter(Boolean).join(" · ");
  return (
    <div className={classes.pending} data-testid="pending-edit" data-state={edit.state}>
      <Text size="sm" fw={600}>
        {title}
      </Text>
      {field && (
        <Text size="sm">
          {field.label}: {value || "–"}
        </Text>
      )}
      <Text size="sm" c={edit.state === "failed" ? "var(--mantine-color-error)" : "dimmed"}>
        {words.states[edit.state]}. {edit.state === "failed" && edit.message ? edit.message : words.about[edit.state]}
      </Text>
      <Group gap={8} mt={8}>
        <Button
          size="compact-sm"
          variant="default"
          onClick={() => void edits.retry(edit.key)}
          data-testid="pending-send"
        >
          {edit.state === "conflict" ? words.sendMine : words.send}
        </Button>
        <Button
          size="compact-sm"
          variant="subtle"
          color="red"
          onClick={() => edits.discard(edit.key)}
          data-testid="pending-discard"
        >
          {words.discard}
        </Button>
      </Group>
    </div>
  );
}
