import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { rolldown } from "rolldown";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const NAME = "tauri-plugin-graphql-session-api";
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Building and packing takes three seconds, and several times that on a busy machine. */
const PACKING_LIMIT_MS = 60_000;

/** An application that has installed the package as npm would publish it. */
let application: string;
/** The files of the package. */
let packed: string[];

beforeAll(() => {
  application = mkdtempSync(join(tmpdir(), "guest-js-"));
  const npm = ["pack", "--json", "--silent", "--pack-destination", application];
  const [archive] = JSON.parse(execFileSync("npm", npm, { cwd: ROOT, encoding: "utf8" })) as [Archive];
  packed = archive.files.map(({ path }) => path).sort();
  const installed = join(application, "node_modules", NAME);
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", join(application, archive.filename), "-C", installed, "--strip-components", "1"]);
  mkdirSync(join(application, "node_modules/@tauri-apps"));
  symlinkSync(join(ROOT, "node_modules/@tauri-apps/api"), join(application, "node_modules/@tauri-apps/api"), "dir");
  writeFileSync(join(application, "package.json"), '{ "type": "module" }');
}, PACKING_LIMIT_MS);

afterAll(() => {
  rmSync(application, { recursive: true, force: true });
});

interface Archive {
  filename: string;
  files: { path: string }[];
}

describe("the package", () => {
  it("holds its sources, what is built from them, and its README", () => {
    const sources = readdirSync(join(ROOT, "guest-js")).filter((file) => file.endsWith(".ts"));
    const built = sources.flatMap((file) => [".js", ".d.ts"].map((end) => `dist-js/${file.replace(/\.ts$/, end)}`));
    const expected = [...built, ...sources.map((file) => `guest-js/${file}`), "README.md", "package.json"];
    expect(packed).toEqual(expected.sort());
  });

  it("imports @tauri-apps/api and its own files, as ES modules", () => {
    const imported = packed
      .filter((path) => path.endsWith(".js"))
      .flatMap(
        (path) => ts.preProcessFile(readFileSync(join(application, "node_modules", NAME, path), "utf8")).importedFiles,
      )
      .map(({ fileName }) => fileName);
    expect(imported).toContain("@tauri-apps/api/core");
    expect(
      imported.filter((name) => !/^\.\/[a-zA-Z]+\.js$/.test(name) && !name.startsWith("@tauri-apps/api/")),
    ).toEqual([]);
  });

  it("needs nothing else installed", () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Record<string, object | undefined>;
    expect(Object.keys(manifest["dependencies"] ?? {})).toEqual(["@tauri-apps/api"]);
    expect(manifest["peerDependencies"]).toBeUndefined();
  });

  it("leaves out of a bundle what the page does not use", async () => {
    const small = await bundle("status");
    expect(small).toContain("plugin:graphql-session|");
    for (const unused of ["x-graphql-session", "execute", "sign_in", "logout"]) expect(small).not.toContain(unused);
    const large = await bundle("createSessionFetch");
    expect(large).toContain("x-graphql-session");
    expect(large).not.toContain("logout");
  });

  it.each([
    ["bundler", ts.ModuleKind.ESNext, ts.ModuleResolutionKind.Bundler],
    ["nodenext", ts.ModuleKind.NodeNext, ts.ModuleResolutionKind.NodeNext],
  ])(
    "brings types that resolve under moduleResolution %s",
    (_, module, moduleResolution) => {
      const use = `
      import { createSessionFetch, onChange, SessionError, status } from "${NAME}";
      import type { Phase, Status } from "${NAME}";
      export const phase: Phase = (await status()).phase;
      export const stop: () => void = await onChange((now: Status) => now.revision.toFixed());
      export const send: typeof fetch = createSessionFetch({ endpoint: "metadata" });
      export const code: SessionError["code"] = SessionError.from(0).code;
      // @ts-expect-error -- no such phase: the types are there and not all \`any\`
      export const wrong: Phase = "refreshing";
    `;
      const strict = { strict: true, skipDefaultLibCheck: true, noEmit: true, types: [] };
      const lib = ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"];
      const file = join(application, "use.ts");
      writeFileSync(file, use);
      const program = ts.createProgram([file], {
        ...strict,
        lib,
        module,
        moduleResolution,
        target: ts.ScriptTarget.ES2022,
      });
      expect(ts.getPreEmitDiagnostics(program).map(textOf)).toEqual([]);
    },
    PACKING_LIMIT_MS,
  );
});

describe("the documentation", () => {
  const program = ts.createProgram([join(ROOT, "guest-js/index.ts")], {
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    strict: true,
    types: [],
  });
  const checker = program.getTypeChecker();
  const index = program.getSourceFile(join(ROOT, "guest-js/index.ts"));
  const entry = index && checker.getSymbolAtLocation(index);
  const exported = entry ? checker.getExportsOfModule(entry).map(behindAlias) : [];

  it.each(exported.map((symbol) => [symbol.name, symbol] as const))("of %s is there", (_, symbol) => {
    expect(symbol.getDocumentationComment(checker)).not.toEqual([]);
  });

  const functions = exported.filter((symbol) => symbol.flags & ts.SymbolFlags.Function);
  it.each(functions.map((symbol) => [symbol.name, symbol] as const))(
    "of %s has parameters, returns, throws, example",
    (_, symbol) => {
      const tags = symbol.getJsDocTags(checker);
      const documented = tags.filter(({ name }) => name === "param").map(({ text }) => text?.[0]?.text);
      expect(documented).toEqual(parametersOf(symbol));
      expect(tags.map(({ name }) => name)).toEqual(expect.arrayContaining(["returns", "throws", "example"]));
    },
  );

  it("covers every function of the guide", () => {
    const promised = [
      "createSessionFetch",
      "diagnostics",
      "journal",
      "onChange",
      "retryNow",
      "signIn",
      "signOut",
      "status",
      "subscribe",
    ];
    expect(functions.map(({ name }) => name)).toEqual(expect.arrayContaining(promised));
  });

  function behindAlias(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  }

  function parametersOf(symbol: ts.Symbol): string[] {
    const declaration = symbol.valueDeclaration;
    return declaration && ts.isFunctionDeclaration(declaration)
      ? declaration.parameters.map(({ name }) => name.getText())
      : [];
  }
});

/** The bundle of a page that uses one function of the package. */
async function bundle(used: string): Promise<string> {
  const input = join(application, `uses-${used}.js`);
  writeFileSync(input, `import { ${used} } from "${NAME}"; globalThis.used = ${used};`);
  const bundling = await rolldown({ input, cwd: dirname(input), external: /^@tauri-apps\//, logLevel: "silent" });
  const { output } = await bundling.generate({ format: "esm", comments: false });
  await bundling.close();
  return output[0].code;
}

function textOf({ messageText, file, start }: ts.Diagnostic): string {
  const line = file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
  return `${file?.fileName ?? ""}:${line} ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
}
