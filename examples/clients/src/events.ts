import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createSessionFetch, subscribe } from "tauri-plugin-graphql-session-api";

/** Who hears what happens to people. */
export interface Listener {
  /** Somebody was made, changed or deleted. */
  event: (action: string, name: string) => void;
  /** Events may be missing, and no server repeats them. */
  gap: () => void;
  /** There will be no more, by an error or by the server's will. */
  over: (problem: unknown) => void;
}

const PEOPLE = /* GraphQL */ `
  subscription People($input: OnDbEventInput!) {
    onDbEvent(input: $input) {
      action
      record
    }
  }
`;

interface People {
  onDbEvent: { action: string; record: { name: { firstName: string; lastName: string } } };
}

/** Hears of people from now on, with urql; gives a function that ends it. */
export function hear({ event, gap, over }: Listener): () => void {
  const streams = subscriptionExchange({
    forwardSubscription: (request) => ({
      subscribe: (sink) => ({ unsubscribe: subscribe(request, { ...sink, gap }) }),
    }),
  });
  const client = new Client({ url: "/graphql", fetch: createSessionFetch(), exchanges: [streams, fetchExchange] });
  const results = client.subscription<People>(PEOPLE, { input: { objectNameSingular: "person" } });
  return results.subscribe(({ data, error, hasNext }) => {
    if (data) event(data.onDbEvent.action, data.onDbEvent.record.name.firstName);
    if (error || !hasNext) over(error?.networkError ?? error ?? "The server has ended it.");
  }).unsubscribe;
}
