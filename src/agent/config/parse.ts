/**
 * The text of weir.yaml to a Config, or everything that is wrong with it:
 *
 *   text -> YAML tree with places -> ${...} replaced -> shape (schema) -> checks -> Config
 *
 * Pure but for `readFile`. Secrets are in the Config only, never in a fault or warning.
 */

import { dirname, resolve } from "node:path";
import type { Config } from "./config.ts";
import { check } from "./checks.ts";
import { effectiveConfig } from "./effective.ts";
import { type ConfigFault, type Finding, faultOf, type Path, type Place } from "./fault.ts";
import { laidOver, type Overlay, untravelled } from "./overlay.ts";
import { shapeOf } from "./shape.ts";
import { substitute } from "./substitute.ts";
import { keyPlaceAt, nodeAt, placeAt, type Tree } from "./tree.ts";
import { readYaml } from "./yaml.ts";

export type { ConfigFault } from "./fault.ts";

export type ParseOptions = {
  /** Name of the file as faults show it; relative paths in it are relative to its folder. */
  readonly file: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text of a file that `${file:...}` names; throws where it cannot be read. */
  readonly readFile: (path: string) => string;
  /** Sections that take the place of the file's. */
  readonly overlay?: Overlay;
};

export type ParsedConfig =
  /** `warnings`: one line each, with file, line and column. */
  | { readonly kind: "config"; readonly config: Config; readonly warnings: readonly string[] }
  /** In the order of the file, at least one. */
  | { readonly kind: "faults"; readonly faults: readonly ConfigFault[] };

export async function parseConfig(text: string, options: ParseOptions): Promise<ParsedConfig> {
  const { file, cwd, env, readFile, overlay } = options;
  const directory = dirname(resolve(cwd, file));
  const read = await readYaml(text);
  if (read.kind === "findings") return faultsOf(file, read.findings, undefined);
  const over = overlay === undefined ? undefined : await readYaml(overlay.text);
  if (over?.kind === "findings") return faultsOf(overlay?.name ?? "", over.findings, undefined);
  // Before anything is read for it.
  const forbidden = over === undefined ? [] : untravelled(over.tree);
  if (forbidden.length > 0) return faultsOf(overlay?.name ?? "", forbidden, over?.tree);
  const laid =
    over === undefined || overlay === undefined
      ? { tree: read.tree, findings: [], isOver: () => false }
      : laidOver(read.tree, over.tree, overlay);
  const fileOf: FileOf = (path) => (laid.isOver(path) ? (overlay?.name ?? file) : file);
  const { tree, findings } = substitute(laid.tree, { env, readFile, directory });
  const first = [...laid.findings, ...findings];
  const shape = shapeOf(tree);
  const checked = check(shape);
  const all = [...first, ...withoutPathsOf(first, [...shape.findings, ...checked.findings])];
  if (all.length > 0 || shape.file === undefined) return faultsOf(fileOf, all, tree);
  return {
    kind: "config",
    config: effectiveConfig(shape.file, directory),
    warnings: located(fileOf, checked.warnings, tree).map((warning) => warning.text),
  };
}

/** The file that a path is of, as faults show it. */
type FileOf = string | ((path: Path) => string);

/** A value that could not be put in is one fault, not a second one for what stands there instead. */
function withoutPathsOf(reported: readonly Finding[], findings: readonly Finding[]): Finding[] {
  const paths = new Set(reported.map(({ path }) => JSON.stringify(path)));
  return findings.filter(({ path }) => !paths.has(JSON.stringify(path)));
}

function faultsOf(
  file: FileOf,
  findings: readonly Finding[],
  tree: Tree | undefined,
): ParsedConfig {
  return { kind: "faults", faults: located(file, findings, tree) };
}

/** In the order of the file. */
export function located(
  file: FileOf,
  findings: readonly Finding[],
  tree: Tree | undefined,
): readonly ConfigFault[] {
  const start = { line: 1, column: 1 };
  return findings
    .map((finding) => {
      const place = finding.place ?? (tree === undefined ? start : placeIn(tree, finding));
      const message = tree === undefined ? finding.message : withoutValues(finding, tree);
      const name = typeof file === "string" ? file : file(finding.path);
      return faultOf(name, { ...finding, message, place });
    })
    .sort((a, b) => a.line - b.line || a.column - b.column);
}

function placeIn(tree: Tree, { path, isKey }: Finding): Place {
  return isKey === true ? keyPlaceAt(tree, path) : placeAt(tree, path);
}

/** What `${...}` put in may be secret: a message about it shows what the file says. */
function withoutValues({ path, message }: Finding, tree: Tree): string {
  const node = nodeAt(tree, path);
  if (node?.kind !== "scalar" || node.template === undefined) return message;
  const { template, value, substitutes = [] } = node;
  return message
    .split(template)
    .flatMap((part) => around(part, String(value)))
    .map((part) => substitutes.reduce((left, put) => around(left, put).join("${...}"), part))
    .join(template);
}

/** Shorter values would be found by chance in any sentence, and are no secrets. */
const SECRET_CHARACTERS_MIN = 3;

/** What stands before, between and after the occurrences of a value, plain or in quotes. */
function around(text: string, value: string): string[] {
  if (value.length < SECRET_CHARACTERS_MIN) return [text];
  const escaped = JSON.stringify(value).slice(1, -1);
  return text.split(escaped).flatMap((part) => part.split(value));
}
