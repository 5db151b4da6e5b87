import { newId } from "./id.js";

/**
 * Encodes a form as browsers do ({@link https://html.spec.whatwg.org/#multipart-form-data the encoding}). In WebKit
 * `new Response(form).arrayBuffer()` rejects for a form with a file, but a blob of the same parts can be read. The
 * files are read only when the blob is.
 *
 * @param form - fields and files
 * @returns the encoded form; its type names the boundary
 */
export function encodeForm(form: FormData): Blob {
  // Lower case: a blob converts its type to lower case, and the boundary must stay the same.
  const boundary = `graphql-session-${newId()}`;
  const parts: BlobPart[] = [];
  form.forEach((value, name) => {
    const disposition = `Content-Disposition: form-data; name="${escape(withLineEnds(name))}"`;
    if (typeof value === "string") {
      parts.push(`--${boundary}\r\n${disposition}\r\n\r\n${withLineEnds(value)}\r\n`);
    } else {
      const file = `filename="${escape(value.name)}"\r\nContent-Type: ${value.type || "application/octet-stream"}`;
      parts.push(`--${boundary}\r\n${disposition}; ${file}\r\n\r\n`, value, "\r\n");
    }
  });
  parts.push(`--${boundary}--\r\n`);
  return new Blob(parts, { type: `multipart/form-data; boundary=${boundary}` });
}

/** The line ends of a form are CR LF. */
function withLineEnds(text: string): string {
  return text.replace(/\r\n|\r|\n/g, "\r\n");
}

/** Escapes the characters that would end the quoted text or its line. */
function escape(text: string): string {
  return text.replace(/\r/g, "%0D").replace(/\n/g, "%0A").replace(/"/g, "%22");
}
