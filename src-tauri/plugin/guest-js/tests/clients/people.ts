/** The operations of the clients' tests, and a server's answers to them. */

export interface People {
  people: { id: string; name: string | null }[];
}

export const PEOPLE = /* GraphQL */ `
  query People($first: Int) {
    people(first: $first) {
      id
      name
    }
  }
`;

export const RENAME = /* GraphQL */ `
  mutation Rename($id: ID!, $name: String!) {
    rename(id: $id, name: $name) {
      id
      name
    }
  }
`;

export const ADA = '{"data":{"people":[{"__typename":"Person","id":"1","name":"Ada"}]}}';
export const RENAMED = '{"data":{"rename":{"__typename":"Person","id":"1","name":"Ada L."}}}';

/** Part of the data, and why the rest is missing. */
export const PARTIAL =
  '{"data":{"people":[{"__typename":"Person","id":"1","name":null}]},' +
  '"errors":[{"message":"Not yours to read","path":["people",0,"name"],"extensions":{"code":"FORBIDDEN"}}]}';

/** The whole operation is refused. */
export const REFUSED = '{"errors":[{"message":"No such field","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}';

/** 2^53 + 1, which no double holds, and keys in an order of the server's own. */
export const BIG =
  '{"extensions":{"z":1,"a":2},"data":{"people":[{"id":9007199254740993,"name":"Big","__typename":"Person"}]}}';
