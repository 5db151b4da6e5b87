import { SessionError } from "./error.js";

/** The header of an `execute` or an `upload` that holds everything but the bytes. */
export const METADATA_HEADER = "x-graphql-session";

/** What an `execute` sends beside its body. */
export interface Metadata {
  /** Made in the page: Tauri may repeat an invoke, and the application must recognise it. */
  requestId: string;
  /** The body was sent before, in slices with this id. */
  uploadId?: string | undefined;
  endpoint: string;
  account?: string | undefined;
  deadlineMs?: number | undefined;
  headers: Record<string, string>;
  /** Ids of earlier calls whose replies arrived. */
  received: string[];
}

/** What an `upload` sends beside the bytes of one slice. */
export interface Slice {
  /** The id of the call that the body belongs to. */
  uploadId: string;
  /** The slice's place in the body, in bytes. */
  offset: number;
  /** Length of the whole body, in bytes. */
  total: number;
  /** The slice's SHA-256, computed in the page, in hexadecimal digits. */
  sha256: string;
}

/** The server's reply, unchanged. */
export interface Reply {
  status: number;
  contentType?: string;
  /** A view: a copy would cost half a millisecond for each megabyte. */
  body: Uint8Array<ArrayBuffer>;
}

/** Bytes as an invoke returns them. They are an array of numbers where Tauri used its message channel. */
export type RawReply = ArrayBuffer | Uint8Array<ArrayBuffer> | number[];

/** Length of the number before a reply's head, in bytes. */
const HEAD_LENGTH_BYTES = 4;

/** The statuses of answers (RFC 9110, section 15). `Response` throws a `RangeError` for any other. */
const LOWEST_STATUS = 200;
const HIGHEST_STATUS = 599;

/**
 * JSON with every character outside printable ASCII escaped, as a header's value must be.
 *
 * @param metadata - what to send
 * @returns the header's value
 */
export function encodeMetadata(metadata: Metadata | Slice): string {
  return JSON.stringify(metadata).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * Reads a reply: four bytes of length (big-endian), a JSON head of that length, then the server's bytes.
 *
 * @param raw - the answer of `execute`
 * @returns status, content type and body
 * @throws SessionError `internal` for anything else
 */
export function readReply(raw: RawReply): Reply {
  const bytes = raw instanceof Uint8Array ? raw : new Uint8Array(raw);
  if (bytes.byteLength >= HEAD_LENGTH_BYTES) {
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    const start = HEAD_LENGTH_BYTES + length;
    if (start <= bytes.byteLength) {
      const head = parseJson(bytes.subarray(HEAD_LENGTH_BYTES, start));
      if (isHead(head)) {
        const body = bytes.subarray(start);
        return head.contentType == null
          ? { status: head.status, body }
          : { status: head.status, contentType: head.contentType, body };
      }
    }
  }
  throw new SessionError(
    "internal",
    "The reply cannot be read. Install the npm package and the Rust crate of the plugin in the same version.",
  );
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

function isHead(head: unknown): head is { status: number; contentType?: string | null } {
  return typeof head === "object" && head !== null && "status" in head && isStatus(head.status);
}

function isStatus(status: unknown): status is number {
  return typeof status === "number" && Number.isInteger(status) && status >= LOWEST_STATUS && status <= HIGHEST_STATUS;
}
