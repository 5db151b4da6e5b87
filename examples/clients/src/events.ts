import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createSessionFetch, subscribe } from "tauri-plugin-graphql-session-api";

/** Receives the events of the object `person`. */
export interface Listener {
  /** A person was created, changed or deleted. */
  event: (action: string, name: string) => void;
  /** The connection was lost and is back. Events may be missing; the server does not repeat them. */
  reconnected: () => void;
  /** No event follows: the subscription failed, or the server ended it. */
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

/** Subscribes with urql to what happens to people. Returns the function that ends the subscription. */
export function listen({ event, reconnected, over }: Listener): () => void {
  const streams = subscriptionExchange({
    forwardSubscription: (request) => ({
      subscribe: (sink) => ({ unsubscribe: subscribe(request, { ...sink, reconnected }) }),
    }),
  });
  const client = new Client({ url: "/graphql", fetch: createSessionFetch(), exchanges: [streams, fetchExchange] });
  const results = client.subscription<People>(PEOPLE, { input: { objectNameSingular: "person" } });
  return results.subscribe(({ data, error, hasNext }) => {
    if (data) event(data.onDbEvent.action, data.onDbEvent.record.name.firstName);
    if (error || !hasNext) over(error?.networkError ?? error ?? "The server has ended the subscription.");
  }).unsubscribe;
}
