/** One key to go anywhere: objects, records by name, actions. */
import { Kbd } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { Spotlight, type SpotlightActionData, type SpotlightActionGroupData } from "@mantine/spotlight";
import {
  IconAppWindow,
  IconHistory,
  IconLayoutGrid,
  IconLogout,
  IconPalette,
  IconRefresh,
  IconSearch,
} from "@tabler/icons-react";
import { useEffect, useMemo, useState } from "react";
import { recordName, type Row } from "../data/fields";
import type { ObjectInfo } from "../data/metadata";
import { readPage, searchIn } from "../data/query";
import { keys, keyText, OBJECT_KEYS } from "../keys";
import { frame as words } from "../messages";
import { useWorkspace } from "../records/workspace";
import type { Actions } from "./AccountMenu";
import { ObjectIcon } from "./icons";
import { go, PANELS } from "./route";

const SEARCH_AFTER_MS = 200;
/** How many objects are searched, the current one first, and how many records of each are shown. */
const SEARCHED = 4;
const FOUND_OF_EACH = 4;

interface Props {
  page: string;
  actions: Actions;
  onRecord: (object: ObjectInfo, id: string) => void;
}

export function Palette({ page, actions, onRecord }: Props) {
  const { schema } = useWorkspace();
  const [query, setQuery] = useState("");
  const found = useFound(query, page);

  const objects: SpotlightActionData[] = (schema?.visible ?? []).map((object, index) => ({
    id: `object-${object.namePlural}`,
    label: object.labelPlural,
    leftSection: <ObjectIcon name={object.icon} />,
    rightSection: index < OBJECT_KEYS ? <Kbd size="xs">{keyText(keys.object(index))}</Kbd> : undefined,
    onClick: () => go(object.namePlural),
  }));
  const action = (
    id: string,
    label: string,
    Icon: typeof IconPalette,
    key: string,
    onClick: () => void,
  ): SpotlightActionData => ({
    id,
    label,
    leftSection: <Icon size={18} aria-hidden />,
    rightSection: <Kbd size="xs">{keyText(key)}</Kbd>,
    onClick,
  });
  const groups: SpotlightActionGroupData[] = [
    {
      group: words.goTo,
      actions: [...objects, action("panels", words.panels, IconLayoutGrid, keys.panels, () => go(PANELS))],
    },
    {
      group: words.records,
      actions: found.map(({ object, row, name }) => ({
        id: `record-${row.id}`,
        label: name,
        description: words.recordOf(object.labelPlural),
        // The palette filters by keywords. It must show every record that the server found.
        keywords: query,
        leftSection: <ObjectIcon name={object.icon} />,
        onClick: () => onRecord(object, row.id),
      })),
    },
    {
      group: words.actions,
      actions: [
        action("new-window", words.newWindow, IconAppWindow, keys.newWindow, actions.newWindow),
        action("reload-all", words.reloadAll, IconRefresh, keys.reloadAll, actions.reloadAll),
        action("session", words.session, IconHistory, keys.session, actions.openSession),
        action("theme", words.theme, IconPalette, keys.theme, actions.nextTheme),
        action("sign-out", words.signOut, IconLogout, keys.signOut, actions.signOut),
      ],
    },
  ];

  return (
    <Spotlight
      actions={groups.filter((group) => group.actions.length > 0)}
      query={query}
      onQueryChange={setQuery}
      shortcut={keys.palette}
      tagsToIgnore={[]}
      nothingFound={words.nothing}
      scrollable
      maxHeight={400}
      transitionProps={{ duration: 80 }}
      searchProps={{
        placeholder: words.palette,
        "aria-label": words.search,
        leftSection: <IconSearch size={18} aria-hidden />,
      }}
    />
  );
}

interface Found {
  object: ObjectInfo;
  row: Row;
  name: string;
}

function useFound(query: string, page: string): Found[] {
  const { client, schema } = useWorkspace();
  const [asked] = useDebouncedValue(query.trim(), SEARCH_AFTER_MS);
  const [answer, setAnswer] = useState<{ asked: string; found: Found[] }>({ asked: "", found: [] });
  const objects = useMemo(
    () =>
      [...(schema?.visible ?? [])]
        .sort((a, b) => Number(b.namePlural === page) - Number(a.namePlural === page))
        .slice(0, SEARCHED),
    [schema, page],
  );
  useEffect(() => {
    if (asked.length < 2 || !schema) return;
    let stale = false;
    const searches = objects.map(async (object): Promise<Found[]> => {
      const operation = searchIn(object, schema, asked, FOUND_OF_EACH);
      if (!operation) return [];
      const { data } = await client.query({ ...operation, fetchPolicy: "no-cache" });
      return readPage(object, data).rows.map((row) => ({ object, row, name: recordName(row, object, schema) }));
    });
    void Promise.allSettled(searches).then((results) => {
      // Where one object can't be searched, the records of the others are still shown.
      if (!stale)
        setAnswer({ asked, found: results.flatMap((result) => (result.status === "fulfilled" ? result.value : [])) });
    });
    return () => {
      stale = true;
    };
  }, [asked, client, objects, schema]);
  return answer.asked === query.trim() && answer.asked.length >= 2 ? answer.found : [];
}
