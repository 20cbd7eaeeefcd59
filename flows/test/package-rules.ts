/**
 * What Node-RED's scorecard asks of a package (node-red-dev, which needs the internet), and what we ask of
 * ours beside it. Reads the built package; gives what is wrong, a sentence each.
 *
 *   P01 license  P03 repository  P04 scoped name  P05 keyword  P06 node-red.version  P07 engines
 *   N01 registerType("literal", { inline literals }) in pages that parse, types that are ours
 *   N02 examples that hold every node  D01 at most six dependencies
 *   ours: pages, texts and icons are there for each node and language
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { languages } from "../build.ts";

export type PackageManifest = {
  readonly name?: string;
  readonly license?: string;
  readonly keywords?: readonly string[];
  readonly repository?: unknown;
  readonly bugs?: unknown;
  readonly engines?: { readonly node?: string };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly "node-red"?: {
    readonly version?: string;
    readonly nodes?: Readonly<Record<string, string>>;
  };
};

const dependenciesMax = 6;

export function manifestFindings(manifest: PackageManifest): readonly string[] {
  const { name = "", keywords = [], dependencies = {} } = manifest;
  const rules: readonly (readonly [boolean, string])[] = [
    [manifest.license !== undefined, "P01: it has no license"],
    [(manifest.repository ?? manifest.bugs) !== undefined, "P03: it says no repository"],
    [/^@[\w-]+\/node-red-[\w-]+$/.test(name), `P04: ${name} is not @scope/node-red-...`],
    [keywords.includes("node-red"), "P05: the keyword node-red is missing"],
    [manifest["node-red"]?.version === ">=4.0.0", "P06: node-red.version is not >=4.0.0"],
    [manifest.engines?.node === ">=22.9", "P07: engines.node is not Node-RED's own >=22.9"],
    [
      Object.keys(dependencies).length <= dependenciesMax,
      `D01: over ${dependenciesMax} dependencies`,
    ],
  ];
  return rules.filter(([holds]) => !holds).map(([, finding]) => finding);
}

/** `folder`: the package with its files as they are published. */
export function fileFindings(manifest: PackageManifest, folder: string): readonly string[] {
  const nodes = Object.entries(manifest["node-red"]?.nodes ?? {});
  const types = nodes.flatMap(([name]) => typesOf(name, folder));
  return [
    ...nodes.flatMap(([name, script]) => nodeFindings(name, join(folder, script))),
    ...types.flatMap(({ findings }) => findings),
    ...exampleFindings(
      types.map(({ type }) => type),
      join(folder, "examples"),
    ),
  ];
}

function nodeFindings(name: string, script: string): readonly string[] {
  const folder = join(script, "..");
  const wanted = [
    script,
    script.replace(/\.js$/, ".html"),
    ...languages.flatMap((language) =>
      ["json", "html"].map((ending) => join(folder, "locales", language, `${name}.${ending}`)),
    ),
  ];
  return wanted.filter((path) => !existsSync(path)).map((path) => `${path} is missing`);
}

type FoundType = { readonly type: string; readonly findings: readonly string[] };

function typesOf(name: string, folder: string): readonly FoundType[] {
  const page = join(folder, "dist/nodes", `${name}.html`);
  if (!existsSync(page)) return [];
  const html = readFileSync(page, "utf8");
  const calls = registrationsIn(html);
  if (calls.length === 0) return [{ type: "", findings: [`N01: ${name} registers no type`] }];
  const icons = join(folder, "dist/nodes/icons");
  return calls.map((call) => judged(call, { name, html, icons }));
}

/** What the scorecard reads as it is written, without running it. */
const inline = ["category", "color", "defaults", "icon", "inputs", "outputs"];

function judged(
  [first, second]: readonly Syntax[],
  page: { readonly name: string; readonly html: string; readonly icons: string },
): FoundType {
  const literal = valueOf(first);
  const type = typeof literal === "string" ? literal : "";
  if (type === "" || second?.type !== "ObjectExpression") {
    const finding = `N01: ${page.name} does not register a literal type with an inline object`;
    return { type, findings: [finding] };
  }
  const properties = propertiesOf(second);
  const isConfig = valueOf(properties.get("category")) === "config";
  const wanted = isConfig ? ["category", "defaults"] : inline;
  const icon = String(valueOf(properties.get("icon")));
  const rules: readonly (readonly [boolean, string])[] = [
    [type === `weir-${page.name}`, `N01: ${page.name} registers ${type}, not weir-${page.name}`],
    ...wanted.map(
      (name) => [isInline(properties.get(name)), `N01: ${name} of ${type} is no literal`] as const,
    ),
    [page.html.includes(`data-template-name="${type}"`), `${type} has no form`],
    [isConfig || existsSync(join(page.icons, icon)), `the icon ${icon} is missing`],
  ];
  return { type, findings: rules.filter(([holds]) => !holds).map(([, finding]) => finding) };
}

/** How the settings of the first type of a page begin, as its script says. */
export function defaultsOf(page: string): ReadonlyMap<string, unknown> {
  const [[, definition] = []] = registrationsIn(page);
  const defaults = propertiesOf(propertiesOf(definition).get("defaults"));
  return new Map(
    [...defaults].map(([name, value]) => [name, valueOf(propertiesOf(value).get("value"))]),
  );
}

function exampleFindings(types: readonly string[], folder: string): readonly string[] {
  const flows = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith(".json"))
    : [];
  const used = new Set(flows.flatMap((name) => typesIn(join(folder, name))));
  return types
    .filter((type) => !used.has(type))
    .map((type) => `N02: no example has the node ${type}`);
}

function typesIn(path: string): readonly string[] {
  const flow: readonly { readonly type: string }[] = JSON.parse(readFileSync(path, "utf8"));
  return flow.map(({ type }) => type);
}

// ---- syntax ----

/** A node of ESTree, as far as it is looked at here. */
type Syntax = { readonly type: string; readonly [part: string]: unknown };

const acorn: { parse(script: string, options: { readonly ecmaVersion: number }): unknown } =
  createRequire(import.meta.url)("acorn");

/** Arguments of each call of `registerType` in the scripts of a page. Throws where one does not parse. */
function registrationsIn(page: string): readonly (readonly Syntax[])[] {
  const scripts = page.matchAll(/<script type="text\/javascript">([^]*?)<\/script>/g);
  const found: (readonly Syntax[])[] = [];
  for (const [, script = ""] of scripts) {
    visit(acorn.parse(script, { ecmaVersion: 2022 }), (node) => {
      const { callee, arguments: given } = node;
      if (node.type !== "CallExpression" || !isSyntax(callee) || !Array.isArray(given)) return;
      if (nameOf(callee["property"]) === "registerType") found.push(given.filter(isSyntax));
    });
  }
  return found;
}

function visit(value: unknown, look: (node: Syntax) => void): void {
  if (Array.isArray(value)) for (const one of value) visit(one, look);
  else if (isSyntax(value)) {
    look(value);
    for (const part of Object.values(value)) visit(part, look);
  }
}

function isSyntax(value: unknown): value is Syntax {
  return typeof value === "object" && value !== null && "type" in value;
}

/** Names and values of an object literal; empty where it is none. */
function propertiesOf(value: unknown): ReadonlyMap<string, Syntax> {
  if (!isSyntax(value) || value.type !== "ObjectExpression") return new Map();
  const parts = Array.isArray(value["properties"]) ? value["properties"].filter(isSyntax) : [];
  return new Map(
    parts.flatMap((part) =>
      isSyntax(part["value"]) ? [[nameOf(part["key"]), part["value"]] as const] : [],
    ),
  );
}

function nameOf(key: unknown): string {
  if (!isSyntax(key)) return "";
  return String(key.type === "Identifier" ? key["name"] : valueOf(key));
}

function valueOf(value: unknown): unknown {
  return isSyntax(value) && value.type === "Literal" ? value["value"] : undefined;
}

/** Literals all the way down; functions in `defaults` are validators. */
function isInline(value: unknown): boolean {
  if (!isSyntax(value)) return false;
  if (value.type === "ObjectExpression") {
    const parts = Array.isArray(value["properties"]) ? value["properties"] : [];
    return parts.every((part) => isSyntax(part) && isInline(part["value"]));
  }
  return value.type === "Literal" || value.type === "FunctionExpression";
}
