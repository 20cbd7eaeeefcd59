/**
 * What the linter cannot say. Each rule is a pure function over the files of the repository and
 * yields findings; run as a program it prints `file:line: message` for the files that git tracks or
 * would add, and fails when there is one.
 *
 * The rules read text, not syntax trees: where only code counts, comments and strings are blanked
 * first, and everything stays in its place.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, posix, resolve } from "node:path";

/** A file of the repository; `path` relative to its root with forward slashes. */
export type SourceFile = { readonly path: string; readonly text: string };

export type Finding = { readonly path: string; readonly line: number; readonly message: string };

export type Rule = {
  readonly name: string;
  readonly check: (files: readonly SourceFile[]) => readonly Finding[];
};

/** Folders of src in the order in which imports may look back. */
const folderOrder = ["core", "edge-ops", "store", "sync", "agent"];

/** Third-party clients that one file in src adapts to our own terms. */
const adaptedClients = [
  "@platformatic/kafka",
  "aedes",
  "avsc",
  "cbor-x",
  "lmdb",
  "mqtt",
  "mqtt-packet",
  "ws",
  "yaml",
];

const linesMax = 500;

/** Files that may be longer, each with its reason. */
const longFiles: Readonly<Record<string, string>> = {};

const vagueNames = /^(managers?|helpers?|utils?|utilities)$/;

export const rules: readonly Rule[] = [
  perFile("pure-is-synchronous", ({ path, text }) =>
    /^src\/(core|edge-ops)\//.test(path) && isSource(path) && !isTest(path)
      ? matches(codeOf(text), /\b(async|await)\b/g).map(({ line, groups: [word] }) => ({
          path,
          line,
          message: `${word} in a folder that is pure and synchronous`,
        }))
      : [],
  ),

  {
    name: "one-adapter-per-client",
    check: (files) =>
      adaptedClients.flatMap((client) => {
        const uses = files
          .filter(({ path }) => path.startsWith("src/") && isSource(path) && !isTest(path))
          .flatMap((file) => importsOf(file).filter(({ target }) => packageOf(target) === client));
        const paths = [...new Set(uses.map(({ path }) => path))];
        if (paths.length < 2) return [];
        return uses.map(({ path, line }) => ({
          path,
          line,
          message: `${client} is imported in ${paths.length} files of src; keep it in one adapter`,
        }));
      }),
  },

  perFile("heavy-clients-are-loaded-late", ({ path, text }) =>
    path.startsWith("src/") && isSource(path) && !isTest(path)
      ? matches(
          text,
          /^(?:import|export)\s+(?!type\b)[^;]*?\bfrom\s+["'](@platformatic\/kafka|avsc|ws)["']/gm,
        ).map(({ line, groups: [client] }) => ({
          path,
          line,
          message: `${client} is loaded with the agent: import it with await import() where it is needed`,
        }))
      : [],
  ),

  perImport("relative-imports-name-their-file", ({ path, line, target }) =>
    target.startsWith(".") && !/\.(ts|json|cjs|mjs)$/.test(target)
      ? [{ path, line, message: `"${target}" must end in .ts` }]
      : [],
  ),

  perImport("imports-go-one-way", ({ path, line, target }) => {
    const message = againstTheOrder(path, target);
    return message === undefined ? [] : [{ path, line, message }];
  }),

  // Of files, where they leave a folder and come back; folders may import each other.
  {
    name: "no-circles-across-folders",
    check: (files) => {
      const uses = files
        .filter(({ path }) => path.startsWith("src/") && isSource(path) && !isTest(path))
        .flatMap(importsOf);
      const neighbours = Map.groupBy(uses, ({ path }) => path);
      return uses
        .map((use) => ({ ...use, to: fileOf(use) }))
        .filter(({ path, to }) => posix.dirname(path) !== posix.dirname(to))
        .filter(({ path, to }) => reaches(to, path, neighbours))
        .map(({ path, line, target }) => ({
          path,
          line,
          message: `"${target}" imports this file, by way of others: a type that both want is a file of its own`,
        }));
    },
  },

  perImport("the-oracle-knows-nobody", ({ path, line, target }) =>
    path.startsWith("test/simulation/oracle/") && !/^(\.\/[\w-]+\.ts|node:.*)$/.test(target)
      ? [{ path, line, message: `"${target}" is code that the oracle is there to judge` }]
      : [],
  ),

  {
    name: "document-links-resolve",
    check: (files) => {
      const known = new Set(files.flatMap(({ path }) => [path, ...foldersOf(path)]));
      return files
        .filter(({ path }) => path.endsWith(".md"))
        .flatMap(({ path, text }) =>
          matches(withoutCodeBlocks(text), /\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)
            .map(({ line, groups }) => ({ line, link: groups[1] ?? "" }))
            .filter(({ link }) => !/^([a-z]+:|#)/i.test(link) && !known.has(pointsTo(path, link)))
            .map(({ line, link }) => ({ path, line, message: `the link ${link} leads nowhere` })),
        );
    },
  },

  perFile("nothing-is-left-for-later", ({ path, text }) =>
    isSource(path) || path.endsWith(".md")
      ? found(path, text, /\b(TO{1}DO|FIX{1}ME|X{3})\b/g, "do it now, or open an issue")
      : [],
  ),

  perFile("no-narrowed-test-runs", ({ path, text }) =>
    isTest(path)
      ? found(path, codeOf(text), /\.only\(|\bonly: true\b/g, "would skip every other test")
      : [],
  ),

  perFile("no-silenced-types", ({ path, text }) =>
    isSource(path) ? found(path, text, /@ts[-](ignore|nocheck)/g, "fix the type") : [],
  ),

  perFile("no-enum", ({ path, text }) =>
    isSource(path)
      ? found(
          path,
          codeOf(text),
          /^ *(export )?(declare )?(const )?enum \w+/gm,
          "use a union of strings",
        )
      : [],
  ),

  perFile("one-noun-per-file", ({ path, text }) => {
    const lineCount = text.replace(/\n$/, "").split("\n").length;
    if (!isSource(path) || lineCount <= linesMax || path in longFiles) return [];
    const message = `${lineCount} lines; past ${linesMax} it is usually two nouns`;
    return [{ path, line: linesMax + 1, message }];
  }),

  perFile("no-machine-of-ours", ({ path, text }) => [
    ...found(
      path,
      text,
      /(?<![\w.~}])\/(work|root|home)\/[\w.-]*/g,
      "is a folder of somebody's machine",
    ),
    ...found(path, text, /https?:\/\/[^\s/"'<>)]*registry[^\s"'<>)]*/g, "is a registry's address"),
  ]),

  perFile("files-are-named-by-their-noun", ({ path }) => {
    if (!path.startsWith("src/")) return [];
    const vague = path.split(/[/.-]/).find((word) => vagueNames.test(word));
    return vague === undefined ? [] : [{ path, line: 1, message: `"${vague}" is no noun of ours` }];
  }),

  {
    name: "lockfile-is-complete",
    check: (files) =>
      files
        .filter(({ path }) => path === "package-lock.json")
        .flatMap(({ path, text }) =>
          unlockedPackages(text).map((name) => ({
            path,
            line: 1,
            message: `${name} is not locked; remove node_modules and package-lock.json, npm install`,
          })),
        ),
  },
];

/** All findings of all rules, in the order of path and line. */
export function checkTree(files: readonly SourceFile[]): readonly Finding[] {
  return rules
    .flatMap((rule) =>
      rule.check(files).map((f) => ({ ...f, message: `${f.message} (${rule.name})` })),
    )
    .toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.line - b.line));
}

// ---- imports ----

type Import = { readonly path: string; readonly line: number; readonly target: string };

function importsOf({ path, text }: SourceFile): readonly Import[] {
  const code = codeOf(text);
  return matches(text, /\b(?:from|import)\s*\(?\s*["']([^"'\n]+)["']/g)
    .filter(({ index }) => code[index] !== " ")
    .map(({ line, groups }) => ({ path, line, target: groups[1] ?? "" }));
}

/** The file that an import names, where it is one of ours. */
function fileOf({ path, target }: Import): string {
  return target.startsWith(".") ? posix.join(posix.dirname(path), target) : target;
}

/** Whether imports lead from one file to another. */
function reaches(
  from: string,
  wanted: string,
  uses: ReadonlyMap<string, readonly Import[]>,
): boolean {
  const seen = new Set([from]);
  for (const file of seen) {
    if (file === wanted) return true;
    for (const use of uses.get(file) ?? []) seen.add(fileOf(use));
  }
  return false;
}

/** Why `path` may not import `target`, or undefined when it may. */
function againstTheOrder(path: string, target: string): string | undefined {
  const from = placeOf(path);
  const to = target.startsWith(".")
    ? placeOf(posix.join(posix.dirname(path), target))
    : target.startsWith("@weir/firmware-sim")
      ? { top: "firmware-sim", folder: "" }
      : undefined;

  if (to === undefined) {
    const external = from.top === "src" && from.folder === "core" && !target.startsWith("node:");
    return external && !isTest(path) ? `core imports nothing, so not ${target}` : undefined;
  }
  if (from.top === "src" && to.top === "src") {
    const backwards = folderOrder.indexOf(to.folder) <= folderOrder.indexOf(from.folder);
    return backwards ? undefined : `${from.folder} must not import ${to.folder}`;
  }
  if (path.startsWith("flows/test/")) return undefined;
  if (from.top === "flows" && to.top === "src") {
    const pure = ["core", "edge-ops"].includes(to.folder) || isTest(path);
    return pure ? undefined : `flows may import core and edge-ops, not ${to.folder}`;
  }
  const apart = ["src", "firmware-sim", "flows"].includes(from.top);
  if (!apart || from.top === to.top) return undefined;
  if (isTest(path) && to.top === "test") return undefined;
  return `${from.top} must not import ${to.top}`;
}

function placeOf(path: string): { readonly top: string; readonly folder: string } {
  const [top = "", folder = ""] = path.split("/");
  return { top, folder };
}

/** "lmdb/sub" is of the package "lmdb", "@a/b/sub" of "@a/b". */
function packageOf(target: string): string {
  return target
    .split("/")
    .slice(0, target.startsWith("@") ? 2 : 1)
    .join("/");
}

// ---- documents and the lockfile ----

function foldersOf(path: string): readonly string[] {
  const parts = path.split("/").slice(0, -1);
  return [".", ...parts.map((_, index) => parts.slice(0, index + 1).join("/"))];
}

function pointsTo(path: string, link: string): string {
  const file = decodeURI(link.replace(/[#?].*$/, ""));
  return posix.join(posix.dirname(path), file).replace(/(?<=.)\/$/, "");
}

/**
 * Packages without a checksum, and optional ones (other platforms) that the lockfile forgot: with
 * either, `npm ci` on another machine refuses it or trusts what it gets.
 */
function unlockedPackages(lockfile: string): readonly string[] {
  type Locked = {
    readonly link?: boolean;
    readonly integrity?: string;
    /** It comes in the file of the package that it lies in, whose checksum holds for both. */
    readonly inBundle?: boolean;
    readonly optionalDependencies?: Readonly<Record<string, string>>;
  };
  const { packages }: { packages: Readonly<Record<string, Locked>> } = JSON.parse(lockfile);
  return Object.entries(packages).flatMap(([path, locked]) => {
    const isInstalled =
      path.startsWith("node_modules/") && locked.link !== true && locked.inBundle !== true;
    const unchecked = isInstalled && locked.integrity === undefined ? [path] : [];
    const forgotten = Object.keys(locked.optionalDependencies ?? {}).filter(
      (name) =>
        packages[`node_modules/${name}`] === undefined &&
        packages[`${path}/node_modules/${name}`] === undefined,
    );
    return [...unchecked, ...forgotten];
  });
}

// ---- text ----

type Match = { readonly index: number; readonly line: number; readonly groups: readonly string[] };

function matches(text: string, pattern: RegExp): readonly Match[] {
  return [...text.matchAll(pattern)].map((match) => ({
    index: match.index,
    line: text.slice(0, match.index).split("\n").length,
    groups: match.map((group) => group ?? ""),
  }));
}

function found(path: string, text: string, pattern: RegExp, why: string): readonly Finding[] {
  return matches(text, pattern).map(({ line, groups: [what = ""] }) => ({
    path,
    line,
    message: `${what.trim()}: ${why}`,
  }));
}

/** Comments, strings and regular expressions: what may hold the characters of the others. */
const lexemes =
  /\/\/[^\n]*|\/\*[^]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[^]|[^`\\])*`|(?<=[(,=:[!&|?{};]\s*|\breturn )\/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\//g;

function codeOf(text: string): string {
  return text.replace(lexemes, blank);
}

function withoutCodeBlocks(text: string): string {
  return text.replace(/^ *```[^]*?^ *```|`[^`\n]*`/gm, blank);
}

function blank(part: string): string {
  return part.replace(/[^\n]/g, " ");
}

function isSource(path: string): boolean {
  return /\.[cm]?[jt]s$/.test(path);
}

function isTest(path: string): boolean {
  return path.endsWith(".test.ts");
}

function perFile(name: string, check: (file: SourceFile) => readonly Finding[]): Rule {
  return { name, check: (files) => files.flatMap(check) };
}

function perImport(name: string, check: (use: Import) => readonly Finding[]): Rule {
  return perFile(name, (file) => (isSource(file.path) ? importsOf(file).flatMap(check) : []));
}

// ---- the program ----

function readTree(root: string): readonly SourceFile[] {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const paths = execFileSync("git", args, { cwd: root, encoding: "utf8" }).split("\0");
  return paths
    .filter((path) => path !== "" && existsSync(join(root, path)))
    .filter((path) => statSync(join(root, path)).isFile())
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

if (import.meta.main) {
  const findings = checkTree(readTree(resolve(import.meta.dirname, "..")));
  for (const { path, line, message } of findings) console.log(`${path}:${line}: ${message}`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
