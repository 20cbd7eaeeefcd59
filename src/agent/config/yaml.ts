/**
 * YAML into a Tree with places: the one file that knows the yaml library, which is loaded when it is
 * first needed (it takes 9 MB, and an agent configured in code does without).
 *
 * YAML 1.2, core schema: `off`, `yes` and `0o7` are no booleans or tricks, there are no merge keys.
 * Aliases and tags are refused, so that each value stands in one place. The library's messages quote
 * the file, which may hold secrets: only its error codes are used.
 */

import type * as Library from "yaml";
import type { ErrorCode, LineCounter, ParsedNode, YAMLError } from "yaml";
import { limits } from "../../core/limits.ts";
import { closerOf, type Unclosed, unclosedIn } from "./brackets.ts";
import type { Finding, Place } from "./fault.ts";
import type { Entry, Tree } from "./tree.ts";

export type YamlOutcome =
  | { readonly kind: "tree"; readonly tree: Tree }
  | { readonly kind: "findings"; readonly findings: readonly Finding[] };

export async function readYaml(text: string): Promise<YamlOutcome> {
  const start = { line: 1, column: 1 };
  if (text.length > limits.configCharactersMax || flowDepthOf(text) > limits.configDepthMax) {
    const message = "this is too long or too deeply nested for a configuration";
    return { kind: "findings", findings: [{ path: [], place: start, message }] };
  }
  // The package is CommonJS: of its exports a bundle may give the default only.
  const { default: library } = await import("yaml");
  const lines = new library.LineCounter();
  const document = library.parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    resolveKnownTags: false,
    logLevel: "silent",
  });
  const findings = syntaxFindings([...document.errors, ...document.warnings], { text, lines });
  if (findings.length > 0) return { kind: "findings", findings };
  if (document.contents === null) {
    return { kind: "tree", tree: { kind: "section", place: start, entries: [] } };
  }
  const tree = treeOf(document.contents, start, { library, lines, findings, depth: 0 });
  return findings.length > 0 ? { kind: "findings", findings } : { kind: "tree", tree };
}

function syntaxFindings(
  errors: readonly YAMLError[],
  { text, lines }: { readonly text: string; readonly lines: LineCounter },
): Finding[] {
  const unclosed = errors.length === 0 ? undefined : unclosedIn(text);
  const follows = unclosed?.opened ?? text.length + 1;
  const findings: Finding[] = errors
    .filter(({ pos: [offset] }) => offset < follows)
    .map((error) => ({
      path: [],
      place: placeOf(lines, error.pos[0]),
      message: sentenceOf(error, text),
    }));
  // What is found behind an open bracket follows from that.
  if (unclosed === undefined || findings.length === errors.length) return findings;
  return [...findings, unclosedFinding(unclosed, { text, lines })];
}

function unclosedFinding(
  { opened, by }: Unclosed,
  { text, lines }: { readonly text: string; readonly lines: LineCounter },
): Finding {
  const opener = text[opened]!;
  const place = placeOf(lines, opened);
  const end = placeOf(lines, by);
  const before =
    by >= text.length
      ? "before the end of the file"
      : `before line ${end.line}, column ${end.column}`;
  const other = text[by] === "]" || text[by] === "}" ? `, or remove the ${text[by]} there` : "";
  const message = `this ${opener} is not closed ${before}: write the ${closerOf(opener)} that is missing${other}`;
  return { path: [], place, message };
}

type Walk = {
  readonly library: Pick<typeof Library, "isAlias" | "isMap" | "isScalar" | "isSeq">;
  readonly lines: LineCounter;
  readonly findings: Finding[];
  readonly depth: number;
};

/** `around` is the place of the key or section, for values that are not there. */
function treeOf(node: ParsedNode | null, around: Place, walk: Walk): Tree {
  const { library, lines, findings } = walk;
  if (node === null) return { kind: "scalar", place: around, value: undefined };
  const place = placeOf(lines, node.range[0]);
  const deeper = { ...walk, depth: walk.depth + 1 };
  if (walk.depth < limits.configDepthMax && library.isMap(node)) {
    const entries = node.items.flatMap((pair) => entryOf(pair, place, deeper));
    return { kind: "section", place, entries };
  }
  if (walk.depth < limits.configDepthMax && library.isSeq(node)) {
    return { kind: "list", place, items: node.items.map((item) => treeOf(item, place, deeper)) };
  }
  if (library.isScalar(node) && isPlainValue(node.value)) {
    // An empty value has no characters: what is found there is said at its key.
    const empty = node.value === null;
    return { kind: "scalar", place: empty ? around : place, value: node.value ?? undefined };
  }
  const message = library.isAlias(node)
    ? "aliases (*name) are not supported here; write the value out"
    : "this value is not supported here, or nested too deeply";
  findings.push({ path: [], place, message });
  return { kind: "scalar", place, value: undefined };
}

function entryOf(
  pair: { readonly key: ParsedNode; readonly value: ParsedNode | null },
  around: Place,
  walk: Walk,
): Entry[] {
  const { library, lines, findings } = walk;
  const place = pair.key.range === undefined ? around : placeOf(lines, pair.key.range[0]);
  const key = library.isScalar(pair.key) ? pair.key.value : undefined;
  if (typeof key !== "string" || notKeys.has(key)) {
    findings.push({ path: [], place, message: "this is not a key that can stand here" });
    return [];
  }
  return [{ key, place, value: treeOf(pair.value, place, walk) }];
}

/** Names that objects have by birth. */
const notKeys = new Set(["__proto__", "constructor", "prototype"]);

function isPlainValue(value: unknown): value is string | number | boolean | null {
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}

function placeOf(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

function lineAt(text: string, offset: number): string {
  const from = text.lastIndexOf("\n", Math.max(0, offset - 1)) + 1;
  const to = text.indexOf("\n", offset);
  return text.slice(from, to < 0 ? text.length : to);
}

/** The deepest nesting of brackets, quoted ones included: recursion of the parser is bounded by it. */
function flowDepthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === "[" || character === "{") deepest = Math.max(deepest, ++depth);
    else if ((character === "]" || character === "}") && depth > 0) depth -= 1;
  }
  return deepest;
}

function sentenceOf({ code, pos: [offset] }: YAMLError, text: string): string {
  const line = lineAt(text, offset);
  if (/[{[].*(?<!["'])\$\{/.test(line)) {
    return 'inside { } and [ ] put quotes around "${...}"';
  }
  if (code === "MISSING_CHAR" && text[offset] === "{") {
    return 'put quotes around a value that holds { }, such as a topic: ["plant/{device}"]';
  }
  if (code === "UNEXPECTED_TOKEN" && /[\]}]/.test(text[offset] ?? "")) {
    return `nothing is open that this ${text[offset]} closes: remove it`;
  }
  // At the blanks that begin a line: it belongs to none of the sections above.
  const before = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset);
  if (code === "MISSING_CHAR" && text[offset] === " " && before.trim() === "") {
    return sentences.BAD_INDENT!;
  }
  return sentences[code] ?? "this is not valid YAML";
}

const sentences: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: "aliases (*name) are not supported here; write the value out",
  BAD_DQ_ESCAPE: "a backslash in \"...\" begins an escape; use '...' or write two",
  BAD_INDENT: "the indentation does not fit the lines around it",
  BAD_SCALAR_START: "a value cannot begin with this character; put quotes around it",
  BLOCK_AS_IMPLICIT_KEY: "two `key:` on one line; put quotes around a value that holds a colon",
  BLOCK_IN_FLOW:
    "inside { } and [ ] only { } and [ ] can be nested; is a comma missing before this?",
  DUPLICATE_KEY: "this key stands here twice",
  MISSING_CHAR: "a quote, bracket, comma or colon is missing",
  MULTILINE_IMPLICIT_KEY: "a key must end on its line; is a colon or a quote missing?",
  MULTIPLE_DOCS: "a configuration is one document; remove the `---`",
  NON_STRING_KEY: "a key must be a string",
  TAB_AS_INDENT: "indent with spaces, not with tabs",
  TAG_RESOLVE_FAILED: "tags (!name) are not supported here",
  UNEXPECTED_TOKEN: "this cannot stand here",
};
