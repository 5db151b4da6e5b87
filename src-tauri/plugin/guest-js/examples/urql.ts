import { subscriptionExchange } from "@urql/core";
import type { Exchange } from "@urql/core";
import { subscribe } from "tauri-plugin-graphql-session-api";

/**
 * An exchange for urql, placed before its `fetchExchange`: subscriptions are streams of the session.
 *
 * @param onReconnected - called when events may be missing: query again what depends on them
 * @returns the exchange to give to the client
 */
export function sessionStreams(onReconnected: () => void): Exchange {
  return subscriptionExchange({
    forwardSubscription: (request) => ({
      subscribe: (sink) => ({ unsubscribe: subscribe(request, { ...sink, reconnected: onReconnected }) }),
    }),
  });
}
