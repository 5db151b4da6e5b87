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
import type { Edit, Edits } from "../data/edits";
import { OBJECTS, schemaFrom, type ObjectsAnswer, type Schema } from "../data/metadata";
import { useSession } from "../session/session";

interface Workspace {
  client: ApolloClient;
  edits: Edits;
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
  const { host } = useSession();
  const [connection] = useState(() => new Connection(host));
  useEffect(() => {
    connection.open();
    return () => connection.close();
  }, [connection]);
  return (
    <ApolloProvider client={connection.client}>
      <Loaded connection={connection}>{children}</Loaded>
    </ApolloProvider>
  );
}

function Loaded({ connection, children }: { connection: Connection; children: ReactNode }) {
  const { client, edits } = connection;
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
      void edits.flush();
      if (error) refetch().catch(() => undefined);
    }, [edits, error, refetch]),
  );

  const value = useMemo(
    () => ({ client, edits, schema, schemaError: schema ? undefined : error, reloadAll, onReloadAll }),
    [client, edits, schema, error, reloadAll, onReloadAll],
  );
  return <Context value={value}>{children}</Context>;
}

/** The unconfirmed edits. A change renders the caller again. */
export function useEditList(): readonly Edit[] {
  const { edits } = useWorkspace();
  return useSyncExternalStore(edits.subscribe, edits.all);
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
