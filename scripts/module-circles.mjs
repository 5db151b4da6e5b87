// No circle of imports between the files of a crate: such files can only be read, tested and moved together.
//
//   node scripts/module-circles.mjs CRATE...       exits with 1 if one of these crates has a circle
//   node scripts/module-circles.mjs core:11        ... or is deeper than 11 layers
//   node scripts/module-circles.mjs --list CRATE   also shows each file's layer and what it imports
//
// CRATE is a folder of src-tauri; without one, every library there is read. `#[cfg(test)]` code does not count.
//
// An import is a path, in a `use` or in the code, that leads to an item of another file of the crate. A child module that
// uses an item of its parent imports the parent; a parent that uses its child imports the child. A module that re-exports
// what lies below it (`pub use child::Item`) does not import it: the users of that item import the child. A call of a
// method is not seen, because it names no path.
//
// Layers are the files on the longest chain of imports. Of a circle all files count: it must not make a crate look flat.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const CRATES = fileURLToPath(new URL("../src-tauri", import.meta.url));

// Paths shown for one import.
const SHOWN_PATHS = 4;

main(process.argv.slice(2));

function main(asked) {
  const named = asked.filter((argument) => argument !== "--list");
  const crates = named.length > 0 ? named : readdirSync(CRATES).filter((crate) => existsSync(library(crate)));
  let failed = false;
  for (const [crate, limit] of crates.map((argument) => argument.split(":"))) {
    if (!existsSync(library(crate))) stop(`${library(crate)} does not exist`);
    const graph = imports(join(CRATES, crate, "src"));
    const { circles, layers, longest } = order(graph);
    const isTooDeep = limit !== undefined && longest.length > Number(limit);
    failed ||= circles.length > 0 || isTooDeep;
    console.log(`${crate}: ${graph.size} files in ${longest.length} layers, ${circles.length} groups of files in circles`);
    if (asked.includes("--list")) showLayers(graph, layers);
    if (isTooDeep) console.log(`  more than ${limit} layers: ${longest.join(" -> ")}`);
    for (const group of circles) showCircles(graph, group);
  }
  process.exit(failed ? 1 : 0);
}

function library(crate) {
  return join(CRATES, crate, "src", "lib.rs");
}

function showLayers(graph, layers) {
  for (const [file, layer] of [...layers].sort(([, one], [, other]) => other - one)) {
    console.log(`  ${String(layer).padStart(2)} ${file} -> ${[...graph.get(file).keys()].join(" ")}`);
  }
}

function showCircles(graph, group) {
  console.log(`  ${group.length} files need each other: ${group.join(" ")}`);
  for (const circle of shortCircles(graph, group)) {
    console.log(`    ${[...circle, circle[0]].join(" -> ")}`);
    circle.forEach((file, at) => {
      const paths = [...graph.get(file).get(circle[(at + 1) % circle.length])];
      console.log(`      ${file} uses ${paths.slice(0, SHOWN_PATHS).join(", ")}${paths.length > SHOWN_PATHS ? ", ..." : ""}`);
    });
  }
}

function stop(why) {
  console.error(why);
  process.exit(2);
}

// ── The graph: each file, the files that it imports, and the paths by which it does ─────────────────────────────────

function imports(folder) {
  const root = readModule(null, null, join(folder, "lib.rs"), folder);
  const graph = new Map();
  for (const module of withChildren(root)) {
    const file = relative(folder, module.file);
    if (!graph.has(file)) graph.set(file, new Map());
    for (const { module: target, path } of importsOf(module)) {
      const to = relative(folder, target.file);
      if (to === file) continue;
      if (!graph.get(file).has(to)) graph.get(file).set(to, new Set());
      graph.get(file).get(to).add(path);
    }
  }
  return graph;
}

function* withChildren(module) {
  yield module;
  for (const child of module.children.values()) yield* withChildren(child);
}

/** Every item of the crate that a module uses: the module that defines it, and by which path. */
function* importsOf(module) {
  for (const use of module.uses) {
    const path = use.segments.join("::");
    if (use.isGlob) {
      const target = moduleAt(use.segments, module);
      if (!target || (use.isPublic && isBelow(target, module))) continue;
      for (const word of module.words) {
        if (knows(target, word)) yield* itemsAt([word], target).map((it) => ({ module: it, path: `${path}::* (${word})` }));
      }
    } else {
      const targets = itemsFrom(use.segments, module, use);
      if (use.isPublic && targets.every((target) => isBelow(target, module))) continue;
      yield* targets.map((target) => ({ module: target, path }));
    }
  }
  for (const segments of module.paths) {
    yield* itemsFrom(segments, module).map((target) => ({ module: target, path: segments.join("::") }));
  }
}

/** The modules that define what a path leads to, as seen from `module`; none where it leads out of the crate. */
function itemsFrom(segments, module, asUse = null) {
  const [first, ...rest] = segments;
  if (first === "crate") return itemsAt(rest, rootOf(module));
  if (first === "self") return itemsAt(rest, module);
  if (first === "super") return itemsAt(rest, module.parent ?? module);
  if (module.children.has(first)) return itemsAt(segments, module);
  const bound = module.uses.find((use) => use !== asUse && use.name === first);
  return bound && rest.length > 0 ? itemsFrom([...bound.segments, ...rest], module, bound) : [];
}

/** The same for the rest of a path, from inside `module`. A name that another module lends counts for both. */
function itemsAt(segments, module) {
  const [first, ...rest] = segments;
  if (first === undefined) return [];
  if (first === "super") return itemsAt(rest, module.parent ?? module);
  if (module.children.has(first) && (rest.length > 0 || !module.items.has(first))) return itemsAt(rest, module.children.get(first));
  if (module.items.has(first)) return [module];
  const use = module.uses.find((use) => use.name === first);
  if (use) {
    if (moduleAt(use.segments, module)) return itemsAt(rest, moduleAt(use.segments, module));
    const targets = itemsFrom(use.segments, module, use);
    return targets.length > 0 && targets.every((target) => isBelow(target, module)) ? targets : [module, ...targets];
  }
  for (const glob of module.uses.filter((use) => use.isGlob)) {
    const target = moduleAt(glob.segments, module);
    if (target && target !== module && knows(target, first)) return itemsAt(segments, target);
  }
  return [module];
}

/** The module that a path names, if it names one of the crate. */
function moduleAt(segments, module) {
  let at = null;
  for (const segment of segments) {
    if (segment === "crate") at = rootOf(module);
    else if (segment === "self") at ??= module;
    else if (segment === "super") at = (at ?? module).parent;
    else at = (at ?? module).children.get(segment);
    if (!at) return null;
  }
  return at;
}

function knows(module, name) {
  return module.items.has(name) || module.uses.some((use) => use.name === name);
}

function isBelow(module, above) {
  for (let at = module.parent; at; at = at.parent) if (at === above) return true;
  return false;
}

function rootOf(module) {
  return module.parent ? rootOf(module.parent) : module;
}

// ── From a file to its module ───────────────────────────────────────────────────────────────────────────────────────

/** A module with its children. `folder` holds the files of its children. */
function readModule(name, parent, file, folder) {
  const module = newModule(name, parent, file, folder);
  scan(withoutTests(tokens(readFileSync(file, "utf8"))), module);
  return module;
}

function newModule(name, parent, file, folder) {
  return { name, parent, file, folder, children: new Map(), items: new Set(), uses: [], paths: [], words: new Set() };
}

function childModule(name, parent) {
  const folder = join(parent.folder, name);
  const file = [`${folder}.rs`, join(folder, "mod.rs")].find((file) => existsSync(file));
  if (!file) stop(`${parent.file}: mod ${name} has no file`);
  return readModule(name, parent, file, folder);
}

/** Fills a module from its tokens. Items are those of the module itself; paths and words those of all its code. */
function scan(code, module) {
  let depth = 0;
  for (let at = 0; at < code.length; at += 1) {
    const [word, next] = [code[at], code[at + 1]];
    if (word === "{") depth += 1;
    else if (word === "}") depth -= 1;
    else if (word === "use" && code[at - 1] !== ".") {
      const end = code.indexOf(";", at);
      const isPublic = code[at - 1] === "pub" || (code[at - 1] === ")" && code.slice(at - 5, at).includes("pub"));
      readUse(code.slice(at + 1, end), [], isPublic, module);
      at = end;
    } else if (word === "mod" && isName(next)) {
      if (code[at + 2] === ";") {
        module.children.set(next, childModule(next, module));
      } else if (code[at + 2] === "{") {
        const end = closing(code, at + 2);
        const inner = newModule(next, module, module.file, join(module.folder, next));
        module.children.set(next, inner);
        scan(code.slice(at + 3, end), inner);
        at = end;
      }
    } else if (isName(word) && code[at - 1] !== "." && code[at - 1] !== "::") {
      const isDeclared = ["fn", "struct", "enum", "trait", "type", "const", "static", "union"].includes(code[at - 1]);
      const isMacro = code[at - 1] === "!" && code[at - 2] === "macro_rules";
      if (depth === 0 && (isDeclared || isMacro)) module.items.add(word);
      module.words.add(word);
      const segments = [word];
      while (code[at + 1] === "::" && isName(code[at + 2])) {
        segments.push(code[at + 2]);
        at += 2;
      }
      if (segments.length > 1) module.paths.push(segments);
    }
  }
}

/** Reads the tree of a `use`: what it names, and by which name the module knows it. */
function readUse(tree, before, isPublic, module) {
  const segments = [...before];
  for (let at = 0; at < tree.length; at += 1) {
    if (tree[at] === "{") {
      let from = at + 1;
      const end = closing(tree, at);
      for (let to = from; to <= end; to += 1) {
        if (tree[to] === "{") to = closing(tree, to);
        else if (tree[to] === "," || to === end) {
          if (to > from) readUse(tree.slice(from, to), segments, isPublic, module);
          from = to + 1;
        }
      }
      return;
    }
    if (tree[at] === "*") {
      module.uses.push({ segments, name: null, isGlob: true, isPublic });
      return;
    }
    if (tree[at] === "as") {
      module.uses.push({ segments, name: tree[at + 1], isGlob: false, isPublic });
      return;
    }
    if (tree[at] !== "::" && !(tree[at] === "self" && segments.length > 0)) segments.push(tree[at]);
  }
  module.uses.push({ segments, name: segments.at(-1), isGlob: false, isPublic });
}

/** Names, `::` and single signs. Comments, texts, characters and lifetimes are left out. */
function tokens(source) {
  const token =
    /\/\/.*|\/\*[^]*?\*\/|b?r(#*)"[^]*?"\1|b?"(?:\\[^]|[^"\\])*"|b?'(?:\\[^]|[^'\\])[^']*?'(?!\w)|'\w+|(?:r#)?\w+|::|\S/g;
  const isLeftOut = /^(\/\/|\/\*|b?r#*"|b?"|b?')/;
  return [...source.matchAll(token)].map(([text]) => text).filter((text) => !isLeftOut.test(text));
}

/** The code without what `#[cfg(test)]` stands before. */
function withoutTests(code) {
  const kept = [];
  for (let at = 0; at < code.length; at += 1) {
    if (code.slice(at, at + 7).join("") !== "#[cfg(test)]") {
      kept.push(code[at]);
      continue;
    }
    at += 7;
    while (code[at] !== ";" && code[at] !== "{") at = "([".includes(code[at]) ? closing(code, at) + 1 : at + 1;
    if (code[at] === "{") at = closing(code, at);
  }
  return kept;
}

/** Where the bracket at `from` closes. */
function closing(code, from) {
  let depth = 0;
  for (let at = from; at < code.length; at += 1) {
    if ("([{".includes(code[at])) depth += 1;
    else if (")]}".includes(code[at])) depth -= 1;
    if (depth === 0) return at;
  }
  return code.length;
}

function isName(token) {
  return token !== undefined && /^(r#)?[A-Za-z_]\w*$/.test(token);
}

// ── Circles and layers ──────────────────────────────────────────────────────────────────────────────────────────────

/** The groups of files that need each other, each file's layer from 1 at the bottom, and the longest chain. */
function order(graph) {
  const groups = strongComponents(graph);
  const groupOf = new Map(groups.flatMap((group) => group.map((file) => [file, group])));
  const below = new Map();
  // Tarjan's algorithm finds what is imported before what imports it.
  for (const group of groups) {
    const targets = new Set(group.flatMap((file) => [...graph.get(file).keys()]).map((file) => groupOf.get(file)));
    targets.delete(group);
    const longest = [...targets].map((target) => below.get(target)).sort((one, other) => other.length - one.length)[0] ?? [];
    below.set(group, [...group, ...longest]);
  }
  const layers = new Map([...groupOf].map(([file, group]) => [file, below.get(group).length]));
  const longest = [...below.values()].sort((one, other) => other.length - one.length)[0];
  return { circles: groups.filter((group) => group.length > 1), layers, longest };
}

function strongComponents(graph) {
  const [numbers, lowest, open, groups] = [new Map(), new Map(), [], []];
  const visit = (file) => {
    numbers.set(file, numbers.size);
    lowest.set(file, numbers.get(file));
    open.push(file);
    for (const target of graph.get(file).keys()) {
      if (!numbers.has(target)) visit(target);
      if (open.includes(target)) lowest.set(file, Math.min(lowest.get(file), lowest.get(target)));
    }
    if (lowest.get(file) === numbers.get(file)) groups.push(open.splice(open.indexOf(file)));
  };
  for (const file of graph.keys()) if (!numbers.has(file)) visit(file);
  return groups;
}

/** For each import inside a group the shortest circle that it is part of; the shortest first. */
function shortCircles(graph, group) {
  const circles = new Map();
  for (const from of group) {
    for (const to of graph.get(from).keys()) {
      if (!group.includes(to)) continue;
      const circle = [from, ...way(graph, to, from)];
      const start = circle.indexOf([...circle].sort()[0]);
      const turned = [...circle.slice(start), ...circle.slice(0, start)];
      circles.set(turned.join(" "), turned);
    }
  }
  return [...circles.values()].sort((one, other) => one.length - other.length);
}

/** The shortest way from one file to another, without its end. */
function way(graph, from, to) {
  const cameFrom = new Map([[from, null]]);
  for (const file of cameFrom.keys()) {
    for (const target of graph.get(file).keys()) {
      if (!cameFrom.has(target)) cameFrom.set(target, file);
    }
  }
  const found = [];
  for (let at = cameFrom.get(to); at; at = cameFrom.get(at)) found.unshift(at);
  return found;
}
