// Every link of the Markdown files that stays inside the repository must lead somewhere, also to its heading; and so
// must every path in backticks that starts with one of our folders. A block of code that names a file, as in
// ```ts src/main.ts, must be that file.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const OUR_FOLDERS = ["src-tauri/", "examples/", "ui/", "tests/", "benches/", "compare/", "scripts/", "capabilities/", "icons/"];

const documents = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], { encoding: "utf8" })
  .split("\n")
  .filter((path) => path && existsSync(path));

const wrong = [];
let links = 0;
for (const document of documents) {
  const whole = readFileSync(document, "utf8");
  for (const [, path, code] of whole.matchAll(/^```\w+ (\S+)\n([\s\S]*?)^```$/gm)) {
    links += 1;
    const file = join(dirname(document), path);
    if (!existsSync(file)) wrong.push(`${document}: ${path} does not exist`);
    else if (readFileSync(file, "utf8") !== code) wrong.push(`${document}: its block is not what ${path} holds`);
  }
  const text = withoutCode(whole);
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    links += 1;
    const [path, heading] = target.split("#");
    const file = path ? normalize(join(dirname(document), decodeURI(path))) : document;
    if (!existsSync(file)) wrong.push(`${document}: ${target} does not exist`);
    else if (heading && file.endsWith(".md") && !headings(file).has(heading)) wrong.push(`${document}: ${target} has no such heading`);
  }
  for (const [, path] of text.matchAll(/`([\w.-]+\/[\w./-]+)`/g)) {
    if (!OUR_FOLDERS.some((folder) => path.startsWith(folder))) continue;
    links += 1;
    const known = [path, join(dirname(document), path)].some((place) => existsSync(place));
    if (!known && !isGenerated(path)) wrong.push(`${document}: \`${path}\` does not exist`);
  }
}

for (const line of wrong) console.error(line);
console.log(`${links} links in ${documents.length} documents, ${wrong.length} wrong`);
process.exit(wrong.length > 0 ? 1 : 0);

function withoutCode(markdown) {
  return markdown.replaceAll(/^```[\s\S]*?^```/gm, "");
}

/** The names that GitHub gives to headings. */
function headings(file) {
  const names = withoutCode(readFileSync(file, "utf8")).matchAll(/^#+\s+(.*)$/gm);
  return new Set([...names].map(([, name]) => name.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(/\s/g, "-")));
}

/** Git says by its exit code whether it ignores a path. */
function isGenerated(path) {
  try {
    execFileSync("git", ["check-ignore", "-q", path]);
    return true;
  } catch {
    return false;
  }
}
