/** At the left: the account menu, search, the server's objects, and the session's indicator at the bottom. */
import { useQuery } from "@apollo/client/react";
import { Button, Kbd, Skeleton, Text, UnstyledButton } from "@mantine/core";
import { IconLayoutGrid, IconSearch } from "@tabler/icons-react";
import { useMemo } from "react";
import { spotlight } from "@mantine/spotlight";
import type { ObjectInfo } from "../data/metadata";
import { countOf } from "../data/query";
import { errorText } from "../errorText";
import { count } from "../format";
import { ariaKey, keys, keyText, OBJECT_KEYS } from "../keys";
import { frame as words } from "../messages";
import { useWorkspace } from "../records/workspace";
import { Indicator } from "../session/Indicator";
import { InsecureMark } from "../session/InsecureMark";
import { AccountMenu, type Actions } from "./AccountMenu";
import classes from "./frame.module.css";
import { ObjectIcon } from "./icons";
import { PANELS } from "./route";

export function Sidebar({ page, actions }: { page: string; actions: Actions }) {
  const { schema, schemaError, reloadAll } = useWorkspace();
  return (
    <nav className={classes.side} aria-label={words.objects}>
      <AccountMenu actions={actions} />
      <UnstyledButton
        className={`${classes.item} ${classes.search}`}
        onClick={spotlight.open}
        aria-keyshortcuts={ariaKey(keys.palette)}
        data-testid="search"
      >
        <IconSearch size={16} aria-hidden />
        <span>{words.search}</span>
        <Kbd size="xs">{keyText(keys.palette)}</Kbd>
      </UnstyledButton>
      <ul className={classes.list}>
        {schema?.visible.map((object, index) => (
          <li key={object.id}>
            <ObjectLink object={object} index={index} current={page === object.namePlural} />
          </li>
        ))}
        {!schema && !schemaError && <SkeletonLinks />}
        {schemaError && (
          <li>
            <Text size="sm" p="sm" c="var(--mantine-color-error)" role="alert">
              {`${words.objectsFailed} ${errorText(schemaError)}`}
            </Text>
            <Button mx="sm" size="compact-sm" variant="default" onClick={reloadAll}>
              {words.tryAgain}
            </Button>
          </li>
        )}
        <li>
          <a
            className={classes.item}
            href={`#/${PANELS}`}
            aria-current={page === PANELS ? "page" : undefined}
            aria-keyshortcuts={ariaKey(keys.panels)}
            title={keyText(keys.panels)}
            data-testid="open-panels"
          >
            <IconLayoutGrid size={18} stroke={1.75} aria-hidden />
            <span>{words.panels}</span>
          </a>
        </li>
      </ul>
      <div className={classes.bottom}>
        <InsecureMark />
        <Indicator onOpen={actions.openSession} />
      </div>
    </nav>
  );
}

function ObjectLink({ object, index, current }: { object: ObjectInfo; index: number; current: boolean }) {
  const operation = useMemo(() => countOf(object), [object]);
  const { data } = useQuery<Record<string, { totalCount: number }>>(operation.query);
  const total = data?.[object.namePlural]?.totalCount;
  const key = index < OBJECT_KEYS ? keys.object(index) : undefined;
  return (
    <a
      className={classes.item}
      href={`#/${object.namePlural}`}
      aria-current={current ? "page" : undefined}
      aria-keyshortcuts={key && ariaKey(key)}
      title={key && keyText(key)}
      data-testid={`object-${object.namePlural}`}
    >
      <ObjectIcon name={object.icon} />
      <span>{object.labelPlural}</span>
      {total !== undefined && <span className={classes.count}>{count(total)}</span>}
    </a>
  );
}

/** As many as a workspace usually has. */
const USUAL_OBJECTS = 5;

function SkeletonLinks() {
  return Array.from({ length: USUAL_OBJECTS }, (_, index) => (
    <li key={index} className={classes.item} aria-hidden>
      <Skeleton circle h={18} w={18} />
      <Skeleton h={12} w={72 + ((index * 31) % 48)} />
    </li>
  ));
}
