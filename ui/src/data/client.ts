/** Apollo Client over the host's fetch: the session, its renewal and its replays lie below it. */
import { ApolloClient, HttpLink, InMemoryCache } from "@apollo/client";
import type { Host } from "../host";

/** Queries name their endpoint in their context; records are the default. */
export const METADATA = { uri: "/metadata" } as const;
const RECORDS = "/graphql";

export function createClient(host: Pick<Host, "fetch">): ApolloClient {
  return new ApolloClient({
    link: new HttpLink({ uri: RECORDS, fetch: host.fetch }),
    cache: new InMemoryCache(),
    defaultOptions: {
      watchQuery: { fetchPolicy: "cache-and-network", nextFetchPolicy: "cache-first" },
    },
  });
}
