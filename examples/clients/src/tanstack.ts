import { MutationObserver, QueryClient } from "@tanstack/query-core";
import { createSessionFetch, SessionError } from "tauri-plugin-graphql-session-api";

import { CREATE, ME, named } from "./operations";
import type { Created, Me, Trial } from "./operations";

const sessionFetch = createSessionFetch();

/** TanStack Query has no GraphQL of its own: its users write this. */
async function request<Data>(query: string, variables: object, signal?: AbortSignal): Promise<Data> {
  const body = JSON.stringify({ query, variables });
  const response = await sessionFetch("/graphql", { method: "POST", body, ...(signal && { signal }) });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  return data as Data;
}

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // WebKitGTK reports that it is offline when it is not, and queries would wait forever.
      networkMode: "always",
      retry: (failures, problem) => problem instanceof SessionError && problem.code === "unreachable" && failures < 3,
      retryDelay: (_, problem) => (problem instanceof SessionError ? problem.retryAfterMs : undefined) ?? 1_000,
    },
    mutations: { networkMode: "always" },
  },
});

const creation = new MutationObserver(client, {
  mutationFn: (firstName: string) => request<Created>(CREATE, named(firstName)),
});

export const tanstack: Trial = {
  query: async () => {
    const queryFn = ({ signal }: { signal: AbortSignal }) => request<Me>(ME, {}, signal);
    return (await client.query({ queryKey: ["me"], queryFn })).currentUser.email;
  },
  mutate: async (firstName) => (await creation.mutate(firstName)).createPerson.name.firstName,
};
