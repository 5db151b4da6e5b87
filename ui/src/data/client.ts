/** Apollo Client with the host's fetch, below which the session renews and replays. */
import { ApolloClient, HttpLink, InMemoryCache } from "@apollo/client";
import type { Host } from "../host";

/** The context of a query to the endpoint `metadata`. Without one, a query goes to the records. */
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
