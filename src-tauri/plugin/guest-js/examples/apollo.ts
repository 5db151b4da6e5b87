import { ApolloLink, HttpLink, Observable } from "@apollo/client";
import { OperationTypeNode, print } from "graphql";
import { createSessionFetch, subscribe } from "tauri-plugin-graphql-session-api";

/**
 * A link for the whole of Apollo Client: subscriptions are streams of the session, everything else goes through its fetch.
 *
 * @param onGap - events may be missing, and no server repeats them: `() => client.refetchQueries({ include: "active" })`
 * @returns the link to give to the client
 */
export function sessionLink(onGap: () => void): ApolloLink {
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
            gap: onGap,
          },
        ),
      ),
  );
  const calls = new HttpLink({ uri: "/graphql", fetch: createSessionFetch() });
  return ApolloLink.split(({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION, streams, calls);
}
