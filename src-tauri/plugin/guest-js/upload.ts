import { abortable, throwIfAborted } from "./aborting.js";
import { call } from "./command.js";
import { SessionError } from "./error.js";
import { encodeMetadata, METADATA_HEADER } from "./framing.js";
import { hex } from "./hex.js";

/**
 * Longest body that is sent with its `execute`, in bytes. A longer one is sent in slices of this length; the
 * application accepts no other, except for the last slice.
 */
export const SLICE_BYTES = 1 << 20;

/** How often one slice is sent before the upload fails. WebKitGTK truncates a body rarely, and not twice in a row. */
const TRIES_PER_SLICE = 3;

/**
 * Sends a body to the application in slices, each with its hash. A slice that does not arrive unchanged is sent again.
 * The slices are views of `body`, so that only the invoke copies them.
 *
 * @param body - the whole body
 * @param uploadId - the id of the `execute` that the body belongs to
 * @param signal - stops after the present slice, and cancels the upload
 * @throws SessionError `upload_broken` if a slice never arrives unchanged, `too_large` and `too_many_calls` by the
 * application's limits, `config` in a page that cannot compute a hash; the signal's reason when it aborts
 */
export async function sendInSlices(
  body: Uint8Array<ArrayBuffer>,
  uploadId: string,
  signal: AbortSignal | null | undefined,
): Promise<void> {
  let latestSlice: Promise<unknown> = Promise.resolve();
  try {
    for (let offset = 0; offset < body.byteLength; offset += SLICE_BYTES) {
      throwIfAborted(signal);
      const bytes = body.subarray(offset, offset + SLICE_BYTES);
      const sending = sendSlice(bytes, { uploadId, offset, total: body.byteLength });
      latestSlice = sending.catch(() => undefined);
      await abortable(sending, signal);
    }
    throwIfAborted(signal);
  } catch (problem) {
    // After the latest slice: one that arrived after the cancellation would start the upload again.
    void latestSlice.then(() => {
      cancel(uploadId);
    });
    throw problem;
  }
}

/**
 * Cancels a call and its upload. It does not matter if the call has finished meanwhile.
 *
 * @param requestId - the id of the call, and of its upload
 */
export function cancel(requestId: string): void {
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
      const isBroken = problem instanceof SessionError && problem.code === "upload_broken";
      if (!isBroken || tries === TRIES_PER_SLICE) throw problem;
    }
  }
}

async function hash(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  // Absent outside of secure contexts, although its type says otherwise.
  const subtle = crypto.subtle as SubtleCrypto | undefined;
  if (!subtle) {
    throw new SessionError(
      "config",
      "This page cannot compute hashes, which uploads need. Serve it from the application, from https or from localhost.",
    );
  }
  return hex(new Uint8Array(await subtle.digest("SHA-256", bytes)));
}
