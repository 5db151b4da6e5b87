/** The order of the records: the menu that chooses it, and the one that a page begins with. */
import { Button, Menu, Text } from "@mantine/core";
import { IconArrowsSort } from "@tabler/icons-react";
import { kindOf, shownFields } from "../data/fields";
import type { Field, ObjectInfo } from "../data/metadata";
import { canSort, type Sort } from "../data/query";
import { ariaKey, keys, keyText } from "../keys";
import { records as words } from "../messages";

interface Props {
  object: ObjectInfo;
  sort: Sort | undefined;
  onSort: (sort: Sort | undefined) => void;
  opened: boolean;
  onOpened: (opened: boolean) => void;
}

export function SortMenu({ object, sort, onSort, opened, onOpened }: Props) {
  const fields = shownFields(object).filter(canSort);
  const current = fields.find((field) => field.name === sort?.field);
  return (
    <Menu opened={opened} onChange={onOpened} position="bottom-end" width={232}>
      <Menu.Target>
        <Button
          variant="default"
          size="compact-sm"
          leftSection={<IconArrowsSort size={16} />}
          title={keyText(keys.sort)}
          aria-keyshortcuts={ariaKey(keys.sort)}
          data-testid="sort"
        >
          {words.sort}
        </Button>
      </Menu.Target>
      <Menu.Dropdown mah={400} style={{ overflowY: "auto" }}>
        <Menu.Label>{words.sortBy}</Menu.Label>
        {fields.map((field) => (
          <Menu.Item
            key={field.name}
            fw={field === current ? 600 : undefined}
            rightSection={
              field === current && (
                <Text size="sm" c="dimmed">
                  {sort?.descending ? words.descending : words.ascending}
                </Text>
              )
            }
            onClick={() =>
              onSort({ field: field.name, descending: field === current ? !sort?.descending : isDate(field) })
            }
          >
            {field.label}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => onSort(undefined)}>{words.unsorted}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

/** The newest first, where the server says when its records were created. */
export function defaultSort(object: ObjectInfo): Sort | undefined {
  const isDated = object.fieldsList.some((field) => field.name === "createdAt");
  return isDated ? { field: "createdAt", descending: true } : undefined;
}

/** Dates begin with the newest, everything else with the smallest. */
const isDate = (field: Field) => ["day", "moment"].includes(kindOf(field)?.filter?.holds ?? "");
