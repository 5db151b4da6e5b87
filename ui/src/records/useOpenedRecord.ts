/** The record that a page shows in its form. */
import { notifications } from "@mantine/notifications";
import { useEffect, useState } from "react";
import type { Row } from "../data/fields";
import type { ObjectInfo } from "../data/metadata";
import { oneOf } from "../data/query";
import { errorText } from "../errorText";
import { useWorkspace } from "./workspace";

/** The record with this id. One that was found in the palette may not be among the loaded rows: it is fetched alone. */
export function useOpenedRecord(id: string | undefined, rows: readonly Row[], object: ObjectInfo): Row | undefined {
  const { client, schema } = useWorkspace();
  const [fetched, setFetched] = useState<Row>();
  const loaded = id === undefined ? undefined : rows.find((row) => row.id === id);
  const isMissing = id !== undefined && !loaded;
  useEffect(() => {
    if (!isMissing || !schema) return;
    let isStale = false;
    const { query, variables } = oneOf(object, schema, id);
    client.query({ query, variables, fetchPolicy: "no-cache" }).then(
      ({ data }) => !isStale && setFetched((data as Record<string, Row> | undefined)?.[object.nameSingular]),
      (error: unknown) => !isStale && notifications.show({ message: errorText(error), color: "red" }),
    );
    return () => {
      isStale = true;
    };
  }, [isMissing, id, client, schema, object]);
  return loaded ?? (isMissing && fetched?.id === id ? fetched : undefined);
}
