import { ApolloLink, HttpLink, Observable } from "@apollo/client";
import { OperationTypeNode, print } from "graphql";
import { createSessionFetch, subscribe } from "tauri-plugin-graphql-session-api";

/**
 * A link for all operations of Apollo Client: subscriptions are streams of the session, the others use its fetch.
 *
 * @param onReconnected - called when events may be missing: `() => client.refetchQueries({ include: "active" })`
 * @returns the link to give to the client
 */
export function sessionLink(onReconnected: () => void): ApolloLink {
  const streams = new ApolloLink(
    ({ query, variables, operationName, extensions }) =>
      new Observable((observer) =>
        subscribe<ApolloLink.Result>(
          { query: print(query), variables, operationName, extensions },
          {
            next: (result) => {
              observer.next(result);
            },
            error: (problem) => {
              observer.error(problem);
            },
            complete: () => {
              observer.complete();
            },
            reconnected: onReconnected,
          },
        ),
      ),
  );
  const calls = new HttpLink({ uri: "/graphql", fetch: createSessionFetch() });
  return ApolloLink.split(({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION, streams, calls);
}
