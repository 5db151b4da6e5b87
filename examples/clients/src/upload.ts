import { createSessionFetch } from "tauri-plugin-graphql-session-api";

const sessionFetch = createSessionFetch();

/** Most bytes that `getRandomValues` fills in one call. */
const RANDOM_AT_ONCE = 65_536;

const UPLOAD = /* GraphQL */ `
  mutation Upload($file: Upload!) {
    uploadFile(file: $file) {
      size
      sha256
    }
  }
`;

/** What the server received. */
export interface Uploaded {
  /** In bytes. */
  size: number;
  /** Its hash, in hexadecimal digits. */
  sha256: string;
}

/** Sends a file in GraphQL's multipart request form. */
export async function upload(file: Blob): Promise<Uploaded> {
  const body = new FormData();
  body.set("operations", JSON.stringify({ query: UPLOAD, variables: { file: null } }));
  body.set("map", JSON.stringify({ 0: ["variables.file"] }));
  body.set("0", file, "example");
  const response = await sessionFetch("/graphql", { method: "POST", body });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  return (data as { uploadFile: Uploaded }).uploadFile;
}

/** A file of random bytes, and its hash. */
export async function randomFile(size: number): Promise<{ file: Blob; sha256: string }> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += RANDOM_AT_ONCE) crypto.getRandomValues(bytes.subarray(at, at + RANDOM_AT_ONCE));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { file: new Blob([bytes]), sha256 };
}
