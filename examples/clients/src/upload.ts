import { createSessionFetch } from "tauri-plugin-graphql-session-api";

const sessionFetch = createSessionFetch();

const UPLOAD = /* GraphQL */ `
  mutation Upload($file: Upload!) {
    uploadFile(file: $file) {
      size
      sha256
    }
  }
`;

/** What the server says that it received. */
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

/** So many bytes that follow no pattern, and their hash. */
export async function madeUp(size: number): Promise<{ file: Blob; sha256: string }> {
  const bytes = new Uint8Array(size);
  // As many at a time as the browser gives.
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { file: new Blob([bytes]), sha256 };
}
