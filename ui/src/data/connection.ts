/** The connection of one person to one server: the client, the edits that it sends, and what was not saved yet. */
import type { ApolloClient } from "@apollo/client";
import { isNotFound, ReadableError } from "../errorText";
import type { Host, Owner } from "../host";
import { records as words } from "../messages";
import { createClient } from "./client";
import { Drafts } from "./drafts";
import { Edits, serverId, type Edit } from "./edits";
import type { Row } from "./fields";
import { typeName, type ObjectInfo, type Schema } from "./metadata";
import { createOne, deleteOne, oneOf, restoreOne, updateOne, type Operation } from "./query";
import { Unsent } from "./unsent";

type ConnectionHost = Pick<Host, "fetch" | "keepUnsent" | "takeUnsent" | "onUnsent">;

export class Connection {
  readonly client: ApolloClient;
  readonly edits: Edits;
  readonly drafts = new Drafts();
  readonly unsent: Unsent;
  #schema: Schema | undefined;
  #open = false;
  #isReachable = true;
  #owner: Owner | undefined;

  constructor(host: ConnectionHost) {
    this.client = createClient({
      fetch: async (...request) => {
        const response = await host.fetch(...request);
        if (response.ok) this.#answered();
        return response;
      },
    });
    this.edits = new Edits({ send: (edit) => this.#send(edit), read: (edit) => this.#read(edit) });
    this.unsent = new Unsent(host, this.edits, this.drafts);
    this.#update();
  }

  /** From now on, each answer sends the waiting edits. They are sent as this person's. */
  open(): void {
    this.#open = true;
  }

  /** The person whose edits these are, as soon as it is known. Takes over what was kept for that person. */
  belongTo(owner: Owner): void {
    if (owner.server === this.#owner?.server && owner.person === this.#owner.person) return;
    this.#owner = owner;
    void this.unsent.open(owner);
  }

  /** While the server can't be reached, edits wait. */
  setReachable(isReachable: boolean): void {
    this.#isReachable = isReachable;
    this.#update();
  }

  /** Forgets the unsent edits and drafts, because their author is no longer signed in. They stay on the disk. */
  close(): void {
    this.#open = false;
    this.unsent.close();
    this.#owner = undefined;
    this.edits.clear();
    this.drafts.clear();
  }

  learn(schema: Schema): void {
    this.#schema = schema;
    this.#update();
  }

  /** Edits can be sent only with the server's schema. */
  #update(): void {
    this.edits.setReachable(this.#isReachable && this.#schema !== undefined);
  }

  /** An answer proves that the server can be reached. The edits are sent after the answer has been handled. */
  #answered(): void {
    setTimeout(() => {
      if (this.#open) this.edits.flushUnlessPausing();
    }, 0);
  }

  async #send(edit: Edit): Promise<Row | undefined> {
    const { object, schema } = this.#known(edit);
    const run = async ({ query, variables }: Operation, answer: string) => {
      const { data } = await this.client.mutate({ mutation: query, variables, fetchPolicy: "no-cache" });
      return (data as Record<string, Row> | undefined)?.[answer];
    };
    const type = typeName(object);
    switch (edit.kind) {
      case "update":
        return run(updateOne(object, schema, edit.id, { [edit.field!]: edit.value }), `update${type}`);
      case "create":
        // With an id of our own, a record whose answer was lost can be found again.
        return run(
          createOne(object, schema, { ...(edit.value as Record<string, unknown>), id: serverId(edit.id) }),
          `create${type}`,
        );
      case "delete":
        await run(deleteOne(object, edit.id), `delete${type}`);
        return undefined;
      case "restore":
        return run(restoreOne(object, schema, edit.id), `restore${type}`);
    }
  }

  async #read(edit: Edit): Promise<Row | undefined> {
    const { object, schema } = this.#known(edit);
    const { query, variables } = oneOf(object, schema, serverId(edit.id));
    try {
      const { data } = await this.client.query({ query, variables, fetchPolicy: "no-cache" });
      return (data as Record<string, Row | null> | undefined)?.[object.nameSingular] ?? undefined;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #known(edit: Edit): { object: ObjectInfo; schema: Schema } {
    const object = this.#schema?.bySingular.get(edit.object);
    if (!this.#schema || !object) throw new ReadableError(words.unknownObject(edit.object));
    return { object, schema: this.#schema };
  }
}
