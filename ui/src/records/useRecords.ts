/** The loaded records of one object. Further pages are loaded as a person scrolls. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Row } from "../data/fields";
import type { ObjectInfo } from "../data/metadata";
import { pageOf, readPage, type Condition, type Page, type Sort } from "../data/query";
import { useResume, useWorkspace } from "./workspace";

export interface Records {
  rows: readonly Row[];
  total: number | undefined;
  state: "loading" | "ready" | "failed";
  /** The state of the page after the last loaded one. */
  more: "none" | "idle" | "loading" | "failed";
  error?: unknown;
  loadMore: () => void;
  reload: () => void;
}

interface Loaded {
  /** The question that these records answer: object, order and conditions. */
  question: string;
  rows: readonly Row[];
  total: number | undefined;
  cursor: string | null;
  state: Records["state"];
  more: Records["more"];
  error?: unknown;
}

const NOTHING: Omit<Loaded, "question"> = { rows: [], total: undefined, cursor: null, state: "loading", more: "none" };

export function useRecords(object: ObjectInfo, sort: Sort | undefined, conditions: readonly Condition[]): Records {
  const { client, schema, edits, onReloadAll } = useWorkspace();
  const question = JSON.stringify([object.nameSingular, sort, conditions]);
  const [loaded, setLoaded] = useState<Loaded>({ question, ...NOTHING });
  const current = loaded.question === question ? loaded : { question, ...NOTHING, total: undefined };
  /** The number of the newest load: the answers of older ones are dropped. */
  const load = useRef(0);
  /** How many changes the server has confirmed. Pages that were read meanwhile may lack one, and are read again. */
  const confirmed = useRef(0);
  const state = useRef(current);
  useEffect(() => {
    state.current = current;
  });

  const ask = useCallback(
    async (after: string | null): Promise<Page> => {
      const [, askedSort, askedConditions] = JSON.parse(question) as [string, Sort | undefined, Condition[]];
      const { query, variables } = pageOf(object, schema!, {
        sort: askedSort ?? undefined,
        conditions: askedConditions,
        after,
      });
      const { data } = await client.query({ query, variables, fetchPolicy: "no-cache" });
      return readPage(object, data);
    },
    [client, object, schema, question],
  );

  const reload = useCallback(async () => {
    const mine = ++load.current;
    const wanted = state.current.question === question ? state.current.rows.length : 0;
    setLoaded((old) =>
      old.question === question ? { ...old, state: old.rows.length ? old.state : "loading" } : { question, ...NOTHING },
    );
    try {
      let page: Page;
      let rows: readonly Row[];
      let before: number;
      do {
        before = confirmed.current;
        page = await ask(null);
        rows = page.rows;
        // As many pages as before, so that the same record stays at the scroll position.
        while (rows.length < wanted && page.hasNextPage && load.current === mine) {
          page = await ask(page.endCursor);
          rows = [...rows, ...page.rows];
        }
      } while (confirmed.current !== before && load.current === mine);
      if (load.current === mine)
        setLoaded({
          question,
          rows,
          total: page.totalCount,
          cursor: page.endCursor,
          state: "ready",
          more: page.hasNextPage ? "idle" : "none",
        });
    } catch (error) {
      if (load.current === mine)
        setLoaded((old) => ({
          ...(old.question === question ? old : { question, ...NOTHING }),
          state: "failed",
          error,
        }));
    }
  }, [ask, question]);

  const loadMore = useCallback(async () => {
    const { more, cursor } = state.current;
    if (more !== "idle" && more !== "failed") return;
    const mine = ++load.current;
    const still = (change: (old: Loaded) => Loaded) =>
      setLoaded((old) => (load.current === mine && old.question === question ? change(old) : old));
    state.current = { ...state.current, more: "loading" };
    still((old) => ({ ...old, more: "loading" }));
    try {
      let page: Page;
      let before: number;
      do {
        before = confirmed.current;
        page = await ask(cursor);
      } while (confirmed.current !== before && load.current === mine);
      still((old) => {
        const known = new Set(old.rows.map((row) => row.id));
        const rows = [...old.rows, ...page.rows.filter((row) => !known.has(row.id))];
        return {
          ...old,
          rows,
          total: page.totalCount,
          cursor: page.endCursor,
          more: page.hasNextPage ? "idle" : "none",
        };
      });
    } catch (error) {
      still((old) => ({ ...old, more: "failed", error }));
    }
  }, [ask, question]);

  const change = useCallback((update: (rows: readonly Row[]) => readonly Row[], by: number) => {
    confirmed.current += 1;
    setLoaded((old) => ({
      ...old,
      rows: update(old.rows),
      total: old.total === undefined ? undefined : old.total + by,
    }));
  }, []);

  useEffect(() => void reload(), [reload]);
  useEffect(() => onReloadAll(() => void reload()), [onReloadAll, reload]);
  useResume(
    useCallback(() => {
      if (state.current.state !== "ready") void reload();
      else if (state.current.more === "failed") void loadMore();
    }, [reload, loadMore]),
  );

  useEffect(
    () =>
      edits.onSent(({ edit, row }) => {
        if (edit.object !== object.nameSingular) return;
        switch (edit.kind) {
          case "delete":
            change((rows) => rows.filter((one) => one.id !== edit.id), -1);
            break;
          case "create":
          case "restore":
            if (row) change((rows) => [row, ...rows.filter((one) => one.id !== row.id)], 1);
            break;
          case "update":
            if (row) change((rows) => rows.map((one) => (one.id === row.id ? row : one)), 0);
            break;
        }
      }),
    [edits, object, change],
  );

  const { rows, total, more, error } = current;
  return useMemo(
    () => ({
      rows,
      total,
      state: current.state,
      more,
      error,
      loadMore: () => void loadMore(),
      reload: () => void reload(),
    }),
    [rows, total, current.state, more, error, loadMore, reload],
  );
}
