/**
 * What is wrong with sections that are to be laid over a local file, without that file: whatever it says,
 * no agent would take them. Names of what the local file may have (sources, links, brokers) are not
 * missed, and secrets are there, whatever they are.
 */

import { check } from "./checks.ts";
import { type ConfigFault, type Finding, faultOf } from "./fault.ts";
import { untravelled } from "./overlay.ts";
import { located } from "./parse.ts";
import { type RemoteSectionName, remoteSections } from "./remote-section.ts";
import { shapeOf } from "./shape.ts";
import { substitute } from "./substitute.ts";
import { nodeAt, type Tree } from "./tree.ts";
import { readYaml } from "./yaml.ts";

/** `file`: as faults name it. In the order of the text; empty where nothing is wrong. */
export async function overlayFaults(text: string, file: string): Promise<readonly ConfigFault[]> {
  const read = await readYaml(text);
  if (read.kind === "findings") return located(file, read.findings, undefined);
  const { tree } = read;
  if (tree.kind !== "section" || tree.entries.length === 0) {
    const message = `it has no section: it may have ${remoteSections.join(", ")}`;
    return [faultOf(file, { path: [], message, place: { line: 1, column: 1 } })];
  }
  const forbidden = [...foreign(tree), ...untravelled(tree)];
  return located(file, forbidden.length > 0 ? forbidden : findingsOf(tree), tree);
}

function foreign(tree: Tree & { readonly kind: "section" }): readonly Finding[] {
  const known: ReadonlySet<string> = new Set(remoteSections);
  return tree.entries.flatMap(({ key, place }): Finding[] => {
    if (known.has(key)) return [];
    const message = `cannot be set from afar: it may have ${remoteSections.join(", ")}`;
    return [{ path: [key], place, message }];
  });
}

function findingsOf(tree: Tree): readonly Finding[] {
  const { tree: filled } = substitute(tree, {
    env: new Proxy({}, { getOwnPropertyDescriptor: () => somewhere, get: () => somewhere.value }),
    readFile: () => somewhere.value,
    directory: "/",
  });
  const shape = shapeOf(filled);
  const has = (name: RemoteSectionName): boolean => nodeAt(tree, [name]) !== undefined;
  const own = <Item>(
    name: RemoteSectionName,
    items: readonly Item[],
  ): readonly (Item | undefined)[] => (has(name) ? items : notHere);
  const { findings } = check({
    ...shape,
    file: undefined,
    brokers: own("brokers", shape.brokers),
    sources: own("sources", shape.sources),
    uplinks: own("uplinks", shape.uplinks),
    links: own("links", shape.links),
    mqtt: undefined,
    http: undefined,
    commit: has("commit") ? shape.commit : undefined,
    store: has("store") ? shape.store : undefined,
    limits: has("limits") ? shape.limits : undefined,
    remote: undefined,
  });
  const said = [...shape.findings, ...findings];
  const paths = new Set(shape.findings.map(({ path }) => JSON.stringify(path)));
  return said.filter(({ path }, index) => {
    const isOurs = nodeAt(tree, path.slice(0, 1)) !== undefined;
    const isSecond = index >= shape.findings.length && paths.has(JSON.stringify(path));
    const node = nodeAt(filled, path);
    return isOurs && !isSecond && !(node?.kind === "scalar" && node.template !== undefined);
  });
}

/** In the place of what only the gateway has. */
const somewhere = { value: "x", enumerable: true, configurable: true };

/** As a list with an item that has findings of its own: what is not found may be in it. */
const notHere = [undefined];
