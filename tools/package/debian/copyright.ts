/** Whose work is in the package, in Debian's machine-readable form: ours, Node's, and each bundled package's. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, root } from "../bundle.ts";
import { type Architecture, partsOf } from "../parts.ts";

type Work = {
  readonly name: string;
  readonly licence: string;
  readonly text: string;
};

/** Throws where a package says neither its licence nor its text. */
export function copyrightText(bundled: Bundle, architecture: Architecture): string {
  const { node, addon } = partsOf(architecture);
  const folders = [...bundled.packages].toSorted().map((path) => join(root, path));
  const works = [join(node, "../.."), join(addon, ".."), ...folders].map(workIn);
  const header = [
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
    "Upstream-Name: weir",
    "Comment: /usr/bin/weir holds Node.js, LMDB and packages of npm; each has a paragraph below.",
  ];
  const own = ["Files: *", "Copyright: the authors of weir", "License: Apache-2.0"];
  const apache = [
    "License: Apache-2.0",
    " On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.",
  ];
  return [header, own, apache, ...works.map(paragraphOf)]
    .map((lines) => `${lines.join("\n")}\n`)
    .join("\n");
}

function workIn(folder: string): Work {
  const manifest: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const { name, license } = manifest as { readonly name: string; readonly license?: string };
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file === undefined ? "" : readFileSync(join(folder, file), "utf8").trim();
  if (license === undefined && text === "") throw new Error(`${folder} does not say its licence`);
  return { name, licence: license ?? "as it says", text };
}

function paragraphOf({ name, licence, text }: Work): readonly string[] {
  const holders = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /^copyright\s+(\(c\)|©|\d)/i.test(line));
  const words = wordsOf({ licence, text });
  return [
    "Files: usr/bin/weir",
    `Comment: ${name}, inside the program`,
    `Copyright: ${[...new Set(holders)].join("\n           ") || `the authors of ${name}`}`,
    `License: ${name.replace(/^@/, "").replaceAll("/", "-")}-licence`,
    ` (${licence})`,
    ...words.map((line) => (line.trim() === "" ? " ." : ` ${line.trimEnd()}`)),
  ];
}

/** Of a licence that every Debian has, its place; its text has thirty times the bytes. */
function wordsOf({ licence, text }: Pick<Work, "licence" | "text">): readonly string[] {
  if (text === "") return [`The package says ${licence} and brings no text.`];
  if (licence !== "Apache-2.0") return text.split("\n");
  return ["The text is in /usr/share/common-licenses/Apache-2.0."];
}
