/**
 * Sections of a configuration that come from elsewhere (src/agent/remote), laid over those of the file.
 * A section that is there takes the place of the file's, whole; all others stay. Nothing in it is a
 * secret: where one is needed it names where this machine has it, by ${file:...} or an environment
 * variable, and `${` stands nowhere else.
 */

import type { Finding, Path } from "./fault.ts";
import { isSecret } from "./secrets.ts";
import { mapScalars, type Tree } from "./tree.ts";
import { readYaml } from "./yaml.ts";

export type Overlay = {
  /** Its name in faults and warnings. */
  readonly name: string;
  /** YAML: sections by name. */
  readonly text: string;
  /** Sections that it may have. */
  readonly allow: readonly string[];
};

export type LaidOver = {
  readonly tree: Tree;
  readonly findings: readonly Finding[];
  /** Whether what stands at a path is the overlay's. */
  readonly isOver: (path: Path) => boolean;
};

/** `over`: the tree of the overlay's text, in which `untravelled` found nothing. */
export function laidOver(file: Tree, over: Tree, { allow }: Overlay): LaidOver {
  if (over.kind !== "section" || file.kind !== "section") {
    const message = "expected sections such as sources and pipelines";
    return { tree: file, findings: [{ path: [], place: over.place, message }], isOver: () => true };
  }
  const findings = over.entries.flatMap(({ key, place }): Finding[] =>
    allow.includes(key)
      ? []
      : [
          {
            path: [key],
            place,
            message: `must not be set from afar here; remote.allow of this agent has ${allow.join(", ")}`,
          },
        ],
  );
  const keys = new Set(over.entries.map(({ key }) => key));
  const kept = file.entries.filter(({ key }) => !keys.has(key));
  return {
    tree: { ...file, entries: [...kept, ...over.entries] },
    findings,
    isOver: ([key]) => typeof key === "string" && keys.has(key),
  };
}

/** Which sections an overlay has; none where it is no YAML with sections. */
export async function sectionsOf(text: string): Promise<ReadonlySet<string>> {
  const read = await readYaml(text);
  const isSections = read.kind === "tree" && read.tree.kind === "section";
  return new Set(isSections ? read.tree.entries.map(({ key }) => key) : []);
}

/** One variable or file and nothing around it: a default would be a secret that travels. */
const reference = /^\$\{(?:[A-Za-z_][A-Za-z0-9_]*|file:[^}]+)\}$/;

/**
 * What no overlay may say, whatever it is laid over: secrets in clear, and `${...}` where no secret is
 * asked for. What that puts in may be published: whoever signs could read any file of the gateway.
 */
export function untravelled(over: Tree): readonly Finding[] {
  const findings: Finding[] = [];
  mapScalars(over, (scalar, path) => {
    const { value, place } = scalar;
    if (isSecret(path) && !reference.test(String(value ?? ""))) {
      const message =
        "a secret does not travel: write ${file:/path} or ${NAME} without a default, and put it on the gateway";
      findings.push({ path, place, message });
    } else if (
      !isSecret(path) &&
      String(value ?? "")
        .replaceAll("$$", "")
        .includes("${")
    ) {
      const message =
        "${...} stands for secrets only in a configuration from afar: write the value out, or $$ for a dollar sign";
      findings.push({ path, place, message });
    }
    return scalar;
  });
  return findings;
}
