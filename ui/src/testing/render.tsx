/** Shared by the tests: the whole application with a fake host. */
import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { App } from "../App";
import type { Status } from "../host";
import { FakeHost } from "./fakeHost";

/** With `before`, the application starts again: with the same server and the same disk. */
export function start(status: Partial<Status> = {}, before?: FakeHost) {
  const host = new FakeHost(status, before?.server);
  if (before) host.disk = before.disk;
  const user = userEvent.setup();
  const view = render(<App host={host} />);
  return { host, user, view };
}

/** Waits until the table of the first object shows its first record. */
export async function records(): Promise<HTMLElement> {
  return screen.findByText("Ada Lovelace");
}

export function cell(row: number, field: string): HTMLElement {
  const found = document.querySelector<HTMLElement>(`.ag-row[row-index="${row}"] [col-id="${field}"]`);
  if (!found) throw new Error(`No cell ${field} in row ${row}.`);
  return found;
}

/** Opens the editor of a cell and types into it. The editor stays open. */
export async function typeInto(user: ReturnType<typeof userEvent.setup>, row: number, field: string, text: string) {
  await user.dblClick(cell(row, field));
  const editor = await screen.findByTestId<HTMLInputElement>("cell-editor");
  await user.clear(editor);
  await user.type(editor, text);
  return editor;
}

export const calls = (host: FakeHost, operation: string) =>
  host.server.log.filter((one) => one.operationName === operation).length;

export { screen, waitFor };
