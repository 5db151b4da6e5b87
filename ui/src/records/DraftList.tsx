/** The sign that something was begun in a form and not saved, with a way back to each. */
import { Button, Group, Popover, Text } from "@mantine/core";
import { IconPencil } from "@tabler/icons-react";
import { useState } from "react";
import { NEW, type RecordDraft } from "../data/drafts";
import { drafts as words, edits as editWords } from "../messages";
import classes from "./records.module.css";
import { useDraftList, useWorkspace } from "./workspace";

export function DraftList({ onOpen }: { onOpen: (draft: RecordDraft) => void }) {
  const { drafts, schema } = useWorkspace();
  const list = useDraftList();
  const [opened, setOpened] = useState(false);
  if (list.length === 0) return null;
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" width={304} trapFocus returnFocus>
      <Popover.Target>
        <Button
          variant="default"
          size="compact-sm"
          leftSection={<IconPencil size={16} />}
          onClick={() => setOpened(!opened)}
          data-testid="drafts"
          data-count={list.length}
        >
          {words.button(list.length)}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Text fw={600} mb={4} tabIndex={-1} data-autofocus>
          {words.title}
        </Text>
        {list.map((draft) => (
          <div key={`${draft.object}:${draft.id}`} className={classes.pending}>
            <Text size="sm" fw={600}>
              {draft.id === NEW
                ? draft.name
                : [schema?.bySingular.get(draft.object)?.labelSingular, draft.name].filter(Boolean).join(" · ")}
            </Text>
            <Group gap={8} mt={8}>
              <Button
                size="compact-sm"
                variant="default"
                onClick={() => {
                  setOpened(false);
                  onOpen(draft);
                }}
                data-testid="draft-continue"
              >
                {words.continue}
              </Button>
              <Button
                size="compact-sm"
                variant="subtle"
                color="red"
                onClick={() => drafts.discard(draft)}
                data-testid="draft-discard"
              >
                {editWords.discard}
              </Button>
            </Group>
          </div>
        ))}
      </Popover.Dropdown>
    </Popover>
  );
}
