import { describe, expect, it } from "vitest";

import { encodeForm } from "../form.js";

/** Fields and files whose names need every kind of escape. */
function trickyForm(): FormData {
  const form = new FormData();
  form.append("operations", '{"query":"mutation { up }"}');
  form.append('a "quoted"\nname', "lines\nof\r\nall\rkinds");
  form.append("büro", "✓");
  form.append("0", new File([new Uint8Array([0, 255, 13, 10])], 'a "b"\n.bin'));
  form.append("1", new File(["<p>"], "ü.html", { type: "text/html" }));
  form.append("2", new Blob([]), "empty");
  return form;
}

describe("a form", () => {
  it("is encoded as the platform does", async () => {
    const form = trickyForm();
    expect(await readable(new Response(encodeForm(form)))).toBe(await readable(new Response(form)));
  });

  it("names the boundary that it has, a new one each time", async () => {
    const encoded = encodeForm(trickyForm());
    const boundary = encoded.type.split("boundary=")[1] ?? "?";
    expect(await encoded.text()).toMatch(new RegExp(`^--${boundary}\r\n[^]*--${boundary}--\r\n$`));
    expect(encodeForm(trickyForm()).type).not.toBe(encoded.type);
  });
});

/** The bytes as text, with one fixed boundary. */
async function readable(response: Response): Promise<string> {
  const boundary = (response.headers.get("content-type") ?? "").split("boundary=")[1] ?? "?";
  const text = Buffer.from(await response.arrayBuffer()).toString("latin1");
  return text.replaceAll(boundary, "BOUNDARY");
}
