import { expect, test } from "vitest";
import { METADATA } from "./client";
import { Connection } from "./connection";
import { OBJECTS } from "./metadata";

// `src-tauri/app` sends this call while the page still loads, and gives the reply to the page that makes exactly the
// same call. After a change of the query, its headers or Apollo Client, `npx vitest -u` writes the file again.
test("the first call of a page is the one that the application prefetches", async () => {
  let first: unknown;
  const { client } = new Connection({
    keepUnsent: () => Promise.resolve(),
    takeUnsent: () => Promise.resolve({ edits: [], drafts: [] }),
    onUnsent: () => Promise.resolve(() => undefined),
    fetch: (input, init) => {
      const { method, headers, body } = init!;
      const endpoint = String(input).split("/").at(-1);
      first = { endpoint, headers: Object.fromEntries(new Headers(headers)), body };
      expect(method).toBe("POST");
      return Promise.resolve(Response.json({ data: { objects: { __typename: "ObjectConnection", edges: [] } } }));
    },
  });
  await client.query({ query: OBJECTS, context: METADATA });
  await expect(`${JSON.stringify(first, undefined, 2)}\n`).toMatchFileSnapshot("firstCall.json");
});
