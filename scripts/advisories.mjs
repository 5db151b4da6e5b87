// Asks the npm registry for advisories about every package of every package-lock.json in the repository.
//
//   node scripts/advisories.mjs
//
// Fails with 1 where there is one, and with 3 where the registry could not be asked about some folder: no network, or a
// mirror that has no advisories.
import { execFileSync, spawnSync } from "node:child_process";
import { dirname } from "node:path";

const FOUND = 1;
const NOT_ASKED = 3;
/** One folder takes seconds; a network that is gone would take minutes. */
const LIMIT_MS = 120_000;

const locks = execFileSync("git", ["ls-files", "package-lock.json", "*/package-lock.json"], { encoding: "utf8" });
const notAsked = [];
let found = 0;
for (const lock of locks.split("\n").filter(Boolean)) {
  const folder = dirname(lock);
  const answer = audit(folder);
  if (answer === undefined) {
    notAsked.push(folder);
    continue;
  }
  const advisories = advisoriesIn(answer);
  found += answer.metadata.vulnerabilities.total;
  console.log(`${folder}: ${advisories.length === 0 ? "no advisory" : advisories.join("\n  ")}`);
}
if (notAsked.length > 0) console.log(`not asked: ${notAsked.join(", ")}`);
process.exit(found > 0 ? FOUND : notAsked.length > 0 ? NOT_ASKED : 0);

/** The registry's answer about a folder's packages; nothing where it gave none. */
function audit(folder) {
  const options = { cwd: folder, encoding: "utf8", timeout: LIMIT_MS, maxBuffer: 64 << 20 };
  const { stdout, stderr } = spawnSync("npm", ["audit", "--package-lock-only", "--json"], options);
  try {
    const answer = JSON.parse(stdout);
    // What npm prints about a failed request is JSON, too.
    if (typeof answer.metadata?.vulnerabilities?.total === "number") return answer;
  } catch {
    // Said below.
  }
  console.log(`${folder}: ${stderr || "no answer"}`.trim());
  return undefined;
}

/** One line for each advisory. Packages that are affected only through others are left out. */
function advisoriesIn({ vulnerabilities }) {
  const lines = Object.values(vulnerabilities).flatMap(({ name, severity, via }) => {
    const own = via.filter((cause) => typeof cause === "object");
    return own.map(({ title, url }) => `${name} (${severity}): ${title} ${url}`);
  });
  return [...new Set(lines)];
}
