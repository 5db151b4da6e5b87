/** Chooses a related record by searching the server for its name. */
import { Loader, Select, type SelectProps } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useEffect, useMemo, useState } from "react";
import { recordName, type Row } from "../data/fields";
import type { Field } from "../data/metadata";
import { readPage, searchIn } from "../data/query";
import { records as words } from "../messages";
import { useWorkspace } from "./workspace";

/** Most records in the list, without much scrolling. */
const SHOWN = 20;
const SEARCH_AFTER_MS = 200;
const CLEAR_BUTTON: SelectProps["clearButtonProps"] & { "data-testid": string } = { "data-testid": "relation-clear" };

interface Props extends Omit<SelectProps, "value" | "onChange" | "data" | "clearable"> {
  field: Field;
  value: Row | null;
  onChange: (value: Row | null) => void;
}

export function RelationPicker({ field, value, onChange, ...rest }: Props) {
  const { client, schema } = useWorkspace();
  const target = schema?.bySingular.get(field.relation?.targetObjectMetadata.nameSingular ?? "");
  const [typed, setTyped] = useState(value && target && schema ? recordName(value, target, schema) : "");
  const [search] = useDebouncedValue(typed, SEARCH_AFTER_MS);
  const [found, setFound] = useState<{ search: string; rows: Row[] }>();

  useEffect(() => {
    if (!target || !schema) return;
    let stale = false;
    const chosen = value ? recordName(value, target, schema) : "";
    const operation = searchIn(target, schema, search === chosen ? "" : search, SHOWN);
    if (!operation) return;
    client.query({ ...operation, fetchPolicy: "no-cache" }).then(
      ({ data }) => !stale && setFound({ search, rows: readPage(target, data).rows }),
      () => !stale && setFound({ search, rows: [] }),
    );
    return () => {
      stale = true;
    };
  }, [client, schema, target, search, value]);

  const rows = useMemo(() => {
    const list = found?.rows ?? [];
    const shown = value && target && schema && typed === recordName(value, target, schema);
    // The chosen record is listed until another text is typed.
    return shown && !list.some((row) => row.id === value.id) ? [value, ...list] : list;
  }, [found, value, typed, target, schema]);

  return (
    <Select
      {...rest}
      searchable
      clearable={field.isNullable !== false}
      clearButtonProps={CLEAR_BUTTON}
      allowDeselect={false}
      selectFirstOptionOnChange
      data={target && schema ? rows.map((row) => ({ value: row.id, label: recordName(row, target, schema) })) : []}
      // The server has searched already.
      filter={({ options }) => options}
      value={value?.id ?? null}
      onChange={(id) => onChange(rows.find((row) => row.id === id) ?? null)}
      searchValue={typed}
      onSearchChange={setTyped}
      placeholder={words.searchRelation}
      nothingFoundMessage={words.noMatch}
      rightSection={found?.search === search ? undefined : <Loader size={14} />}
    />
  );
}
