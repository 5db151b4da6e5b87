import { beforeEach, expect, it } from "vitest";

import { checkServer, diagnostics, journal, retryNow, SessionError, signOut, status } from "../index.js";
import { Host, statusOf } from "./host.js";

let host: Host;

beforeEach(() => {
  host = new Host();
  for (const command of ["status", "sign_out", "retry_now"]) host.on(command, () => statusOf({}));
  host.on("check_server", () => ({ origin: "https://crm.example.com", protocol: "twenty" }));
  host.on("journal", () => []);
  host.on("diagnostics", () => "phase: signed_in");
});

it("each function runs its command with its arguments", async () => {
  await status("work");
  await checkServer("crm.example.com");
  await retryNow();
  await signOut("work");
  await journal();
  await diagnostics("work");
  expect(host.invokes.map(({ command, args }) => [command.replace("plugin:graphql-session|", ""), args])).toEqual([
    ["status", { account: "work" }],
    ["check_server", { address: "crm.example.com", account: undefined }],
    ["retry_now", { account: undefined }],
    ["sign_out", { account: "work" }],
    ["journal", { account: undefined }],
    ["diagnostics", { account: "work" }],
  ]);
});

it("a command's rejection becomes a SessionError with its code", async () => {
  host.rejects("check_server", { code: "no_answer", message: "The server does not answer." });
  await expect(checkServer("crm.example.com")).rejects.toMatchObject({ name: "SessionError", code: "no_answer" });
});

it.each([
  ["a text of Tauri's", "graphql-session.journal not allowed", "graphql-session.journal not allowed"],
  ["an Error", new TypeError("broken"), "broken"],
  ["anything else", 7, "The application gave no reason."],
])("%s becomes the code internal", (_, problem, message) => {
  expect(SessionError.from(problem)).toMatchObject({ code: "internal", message });
});
