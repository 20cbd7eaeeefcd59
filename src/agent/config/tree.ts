/**
 * A configuration file as a tree that remembers where everything stands, and the plain values that
 * the schema looks at. The tree leads from a path back to line and column.
 */

import type { Path, Place } from "./fault.ts";

export type Entry = { readonly key: string; readonly place: Place; readonly value: Tree };

export type Scalar = {
  readonly kind: "scalar";
  readonly place: Place;
  /** undefined: nothing stands there. */
  readonly value: string | number | boolean | undefined;
  /** The text as it stands in the file where `${...}` in it was replaced: its value may be secret. */
  readonly template?: string;
  /** What was put in there; in no message. */
  readonly substitutes?: readonly string[];
};

export type Tree =
  | { readonly kind: "section"; readonly place: Place; readonly entries: readonly Entry[] }
  | { readonly kind: "list"; readonly place: Place; readonly items: readonly Tree[] }
  | Scalar;

/** The node at `path`; undefined where the file has none. */
export function nodeAt(tree: Tree, path: Path): Tree | undefined {
  let node: Tree | undefined = tree;
  for (const part of path) node = node === undefined ? undefined : childOf(node, part);
  return node;
}

/** Where the value at `path` stands; the nearest section around it where the file has no such value. */
export function placeAt(tree: Tree, path: Path): Place {
  let node = tree;
  for (const part of path) {
    const child = childOf(node, part);
    if (child === undefined) break;
    node = child;
  }
  return node.place;
}

/** Where the key of the value at `path` stands; list items have no key, and give their own place. */
export function keyPlaceAt(tree: Tree, path: Path): Place {
  const parent = nodeAt(tree, path.slice(0, -1));
  const entry =
    parent?.kind === "section" ? parent.entries.find(({ key }) => key === path.at(-1)) : undefined;
  return entry?.place ?? placeAt(tree, path);
}

/**
 * Sections as objects, lists as arrays. Nothing is shared with the tree. A key without a value is
 * null, as in JSON, so that it is not taken for a key that is not there.
 */
export function plainOf(tree: Tree): unknown {
  switch (tree.kind) {
    case "section":
      return Object.fromEntries(tree.entries.map(({ key, value }) => [key, plainOf(value)]));
    case "list":
      return tree.items.map(plainOf);
    case "scalar":
      return tree.value ?? null;
  }
}

/** The same tree with every scalar replaced by what `replace` gives for it. */
export function mapScalars(
  tree: Tree,
  replace: (scalar: Scalar, path: Path) => Scalar,
  path: Path = [],
): Tree {
  switch (tree.kind) {
    case "section":
      return {
        ...tree,
        entries: tree.entries.map((entry) => ({
          ...entry,
          value: mapScalars(entry.value, replace, [...path, entry.key]),
        })),
      };
    case "list":
      return {
        ...tree,
        items: tree.items.map((item, index) => mapScalars(item, replace, [...path, index])),
      };
    case "scalar":
      return replace(tree, path);
  }
}

/**
 * What stands there, for a message. What came out of `${...}` is shown as it is written in the
 * file, and a password not at all.
 */
export function describe(node: Tree | undefined, isSecret: boolean): string {
  if (node === undefined) return "nothing";
  if (node.kind === "section") return "a section";
  if (node.kind === "list") {
    return node.items.length === 0 ? "an empty list" : `a list of ${node.items.length}`;
  }
  if (node.value === undefined) return "nothing";
  if (isSecret) {
    // Whoever was asked for a text and wrote digits has to be told that these are none.
    return typeof node.value === "string"
      ? "a value that is not shown here"
      : `a ${typeof node.value} that is not shown here: a text has quotes around it`;
  }
  if (node.template !== undefined) return `the value of ${quoted(node.template)}`;
  return typeof node.value === "string"
    ? quoted(node.value)
    : `the ${typeof node.value} ${node.value}`;
}

const QUOTED_CHARACTERS_MAX = 60;

function quoted(text: string): string {
  const cut = text.length > QUOTED_CHARACTERS_MAX;
  return JSON.stringify(cut ? `${text.slice(0, QUOTED_CHARACTERS_MAX)}...` : text);
}

function childOf(node: Tree, part: string | number): Tree | undefined {
  if (node.kind === "list") return typeof part === "number" ? node.items[part] : undefined;
  if (node.kind === "section") return node.entries.find(({ key }) => key === part)?.value;
  return undefined;
}
