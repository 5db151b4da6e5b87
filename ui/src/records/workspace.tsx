/** Shared by the screens of one signed-in person: the GraphQL client, the unconfirmed edits, the server's objects. */
import { ApolloProvider, useQuery } from "@apollo/client/react";
import {
  createContext,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type ReactNode,
} from "react";
import type { ApolloClient } from "@apollo/client";
import { METADATA } from "../data/client";
import { Connection } from "../data/connection";
import type { Drafts, RecordDraft } from "../data/drafts";
import type { Edit, Edits } from "../data/edits";
import { OBJECTS, schemaFrom, type ObjectsAnswer, type Schema } from "../data/metadata";
import type { Unsent } from "../data/unsent";
import { useSession } from "../session/session";

interface Workspace {
  client: ApolloClient;
  edits: Edits;
  drafts: Drafts;
  /** Where what was not sent is kept. */
  unsent: Unsent;
  schema: Schema | undefined;
  schemaError: Error | undefined;
  /** Reloads everything that is on the screen, at once. */
  reloadAll: () => void;
  /** Adds a function to `reloadAll`, for what is not an Apollo query. Returns the function that removes it. */
  onReloadAll: (reload: () => void) => () => void;
}

const Context = createContext<Workspace | undefined>(undefined);

export function useWorkspace(): Workspace {
  const workspace = useContext(Context);
  if (!workspace) throw new Error("useWorkspace outside of WorkspaceProvider");
  return workspace;
}

export function WorkspaceProvider({ children }: { children: ReactNode }) {
  const { host, status } = useSession();
  const { server, person = "" } = status;
  const [connection] = useState(() => new Connection(host));
  useEffect(() => {
    connection.open();
    return () => connection.close();
  }, [connection]);
  useEffect(() => {
    if (server) connection.belongTo({ server, person });
  }, [connection, server, person]);
  const isReachable = status.phase === "signed_in" || status.phase === "renewing";
  useEffect(() => connection.setReachable(isReachable), [connection, isReachable]);
  return (
    <ApolloProvider client={connection.client}>
      <Loaded connection={connection}>{children}</Loaded>
    </ApolloProvider>
  );
}

function Loaded({ connection, children }: { connection: Connection; children: ReactNode }) {
  const { client, edits, drafts, unsent } = connection;
  const { data, error, refetch } = useQuery<ObjectsAnswer>(OBJECTS, { context: METADATA });
  const schema = useMemo(() => (data ? schemaFrom(data) : undefined), [data]);
  useEffect(() => {
    if (schema) connection.learn(schema);
  }, [schema, connection]);

  const reloaders = useRef(new Set<() => void>());
  const onReloadAll = useCallback((reload: () => void) => {
    const all = reloaders.current;
    all.add(reload);
    return () => void all.delete(reload);
  }, []);
  const reloadAll = useCallback(() => {
    for (const reload of reloaders.current) reload();
    // Each query shows its own failure in its place.
    client.refetchQueries({ include: "active" }).catch(() => undefined);
  }, [client]);

  useResume(
    useCallback(() => {
      if (error) refetch().catch(() => undefined);
    }, [error, refetch]),
  );

  const value = useMemo(
    () => ({
      client,
      edits,
      drafts,
      unsent,
      schema,
      schemaError: schema ? undefined : error,
      reloadAll,
      onReloadAll,
    }),
    [client, edits, drafts, unsent, schema, error, reloadAll, onReloadAll],
  );
  return <Context value={value}>{children}</Context>;
}

/** The unconfirmed edits. A change renders the caller again. */
export function useEditList(): readonly Edit[] {
  const { edits } = useWorkspace();
  return useSyncExternalStore(edits.subscribe, edits.all);
}

/** The drafts of forms. A change renders the caller again. */
export function useDraftList(): readonly RecordDraft[] {
  const { drafts } = useWorkspace();
  return useSyncExternalStore(drafts.subscribe, drafts.all);
}

/** Whether something was typed, into a form or a cell, that was not saved. */
export function useHasDrafts(): boolean {
  const { drafts } = useWorkspace();
  return useSyncExternalStore(drafts.subscribe, drafts.hasAny);
}

/** Whether what was not sent is kept on this computer. */
export function useIsKept(): boolean {
  const { unsent } = useWorkspace();
  return useSyncExternalStore(unsent.subscribe, unsent.isKept);
}

/** Calls back when the session works again after it was unreachable, locked, or over. */
export function useResume(callback: () => void): void {
  const { phase } = useSession().status;
  const broken = useRef(false);
  useEffect(() => {
    switch (phase) {
      case "unreachable":
      case "ended":
      case "locked":
      case "signed_out":
      case "stopped":
        broken.current = true;
        break;
      case "signed_in":
        if (!broken.current) break;
        broken.current = false;
        callback();
        break;
      case "opening":
      case "renewing":
        break;
    }
  }, [phase, callback]);
}
