/** The connection of one person to one server: the client, and the edits that it sends. */
import type { ApolloClient } from "@apollo/client";
import type { Host } from "../host";
import { records as words } from "../messages";
import { createClient } from "./client";
import { Edits, type Edit } from "./edits";
import type { Row } from "./fields";
import { typeName, type Schema } from "./metadata";
import { createOne, deleteOne, updateOne, type Operation } from "./query";

export class Connection {
  readonly client: ApolloClient;
  readonly edits: Edits;
  #schema: Schema | undefined;
  #open = false;

  constructor(host: Pick<Host, "fetch">) {
    this.client = createClient({
      fetch: async (...request) => {
        const response = await host.fetch(...request);
        this.#answered();
        return response;
      },
    });
    this.edits = new Edits((edit) => this.#send(edit));
  }

  /** From now on, each answer sends the waiting edits. */
  open(): void {
    this.#open = true;
  }

  /** Drops the unsent edits: their author is no longer signed in. */
  close(): void {
    this.#open = false;
    this.edits.clear();
  }

  learn(schema: Schema): void {
    this.#schema = schema;
  }

  /** An answer proves that the server can be reached. The edits are sent after the answer has been handled. */
  #answered(): void {
    setTimeout(() => {
      if (this.#open) void this.edits.flush();
    }, 0);
  }

  async #send(edit: Edit): Promise<Row | undefined> {
    const schema = this.#schema;
    const object = schema?.bySingular.get(edit.object);
    if (!schema || !object) throw new Error(words.unknownObject(edit.object));
    const run = async ({ query, variables }: Operation, answer: string) => {
      const { data } = await this.client.mutate({ mutation: query, variables, fetchPolicy: "no-cache" });
      return (data as Record<string, Row> | undefined)?.[answer];
    };
    const type = typeName(object);
    switch (edit.kind) {
      case "update":
        return run(updateOne(object, schema, edit.id, { [edit.field!]: edit.value }), `update${type}`);
      case "create":
        return run(createOne(object, schema, edit.value as Record<string, unknown>), `create${type}`);
      case "delete":
        await run(deleteOne(object, edit.id), `delete${type}`);
        return undefined;
    }
  }
}
