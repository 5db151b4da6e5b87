import { subscriptionExchange } from "@urql/core";
import type { Exchange } from "@urql/core";
import { subscribe } from "tauri-plugin-graphql-session-api";

/**
 * An exchange for urql, to stand before its `fetchExchange`: subscriptions are streams of the session.
 *
 * @param onGap - events may be missing, and no server repeats them: ask again for what depends on them
 * @returns the exchange to give to the client
 */
export function sessionStreams(onGap: () => void): Exchange {
  return subscriptionExchange({
    forwardSubscription: (request) => ({
      subscribe: (sink) => ({ unsubscribe: subscribe(request, { ...sink, gap: onGap }) }),
    }),
  });
}
