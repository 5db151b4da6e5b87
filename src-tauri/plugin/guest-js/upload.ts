import { abortable, throwIfAborted } from "./aborting.js";
import { call } from "./command.js";
import { SessionError } from "./error.js";
import { encodeMetadata, METADATA_HEADER } from "./framing.js";
import { hex } from "./hex.js";

/**
 * Longest body that travels with its `execute`, and the length of every slice of a longer one but the last, in bytes. The
 * application takes slices of this length only.
 */
export const SLICE_BYTES = 1 << 20;

/** How often one slice is sent before the upload fails: WebKitGTK cuts bodies short rarely, and not in a row. */
const TRIES_PER_SLICE = 3;

/**
 * Hands a body over to the application in slices, each with the hash that it has here: a slice that does not arrive as it
 * was is sent again. The slices are views of `body`, so that nothing of it is copied but what the invoke itself needs.
 *
 * @param body - the whole body
 * @param uploadId - names the body; the `execute` with this id takes it
 * @param signal - stops after the slice that is under way, and takes the upload back
 * @throws SessionError `upload_broken` where a slice never arrives as it was, `too_large` and `too_many_calls` by the
 * application's limits, `config` in a page that cannot take a hash; the signal's reason when it aborts
 */
export async function handOver(
  body: Uint8Array<ArrayBuffer>,
  uploadId: string,
  signal: AbortSignal | null | undefined,
): Promise<void> {
  let underWay: Promise<unknown> = Promise.resolve();
  try {
    for (let offset = 0; offset < body.byteLength; offset += SLICE_BYTES) {
      throwIfAborted(signal);
      const bytes = body.subarray(offset, offset + SLICE_BYTES);
      const sending = sendSlice(bytes, { uploadId, offset, total: body.byteLength });
      underWay = sending.catch(() => undefined);
      await abortable(sending, signal);
    }
    throwIfAborted(signal);
  } catch (problem) {
    // Behind the slice that is under way, which would begin the upload anew if it came after that.
    void underWay.then(() => {
      takeBack(uploadId);
    });
    throw problem;
  }
}

/**
 * Takes back a call or an upload. It may have finished in the meantime; either way nobody waits for it any more.
 *
 * @param requestId - the id of the call, and of its upload
 */
export function takeBack(requestId: string): void {
  call("cancel", { requestId }).catch(() => undefined);
}

async function sendSlice(
  bytes: Uint8Array<ArrayBuffer>,
  place: { uploadId: string; offset: number; total: number },
): Promise<void> {
  const slice = { ...place, sha256: await hash(bytes) };
  for (let tries = 1; ; tries += 1) {
    try {
      await call("upload", bytes, { headers: { [METADATA_HEADER]: encodeMetadata(slice) } });
      return;
    } catch (problem) {
      const arrivedBroken = problem instanceof SessionError && problem.code === "upload_broken";
      if (!arrivedBroken || tries === TRIES_PER_SLICE) throw problem;
    }
  }
}

async function hash(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  // Absent outside of secure contexts, whatever TypeScript says.
  const subtle = crypto.subtle as SubtleCrypto | undefined;
  if (!subtle) {
    throw new SessionError(
      "config",
      "This page cannot take hashes, which uploads need. Serve it from the application, from https or from localhost.",
    );
  }
  return hex(new Uint8Array(await subtle.digest("SHA-256", bytes)));
}
