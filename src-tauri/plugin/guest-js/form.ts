import { newId } from "./id.js";

/**
 * A form's bytes, as browsers send them ({@link https://html.spec.whatwg.org/#multipart-form-data the encoding}). WebKit
 * cannot read a form with a file in it: `new Response(form).arrayBuffer()` rejects there, while a blob made of the same
 * parts can be read. The parts stay where they are until then.
 *
 * @param form - fields and files
 * @returns the encoded form; its type names the boundary
 */
export function encodeForm(form: FormData): Blob {
  // In lower case, for a blob's type is.
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

/** Forms have the line ends of the network, whatever the page has. */
function withLineEnds(text: string): string {
  return text.replace(/\r\n|\r|\n/g, "\r\n");
}

/** What would end the quoted text, or its line. */
function escape(text: string): string {
  return text.replace(/\r/g, "%0D").replace(/\n/g, "%0A").replace(/"/g, "%22");
}
