/**
 * Values from outside in a configuration's texts:
 *
 *   ${NAME}            environment variable; unset is an error
 *   ${NAME:-default}   the default where it is unset or empty; up to the next }
 *   ${file:/path}      content of a file without its last line break, the path relative to the
 *                      configuration
 *   $$                 a dollar sign; a $ before anything but { and $ stands for itself
 *
 * Only values are looked at, never keys, and what was put in is not looked at again.
 */

import { resolve } from "node:path";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Finding, Path } from "./fault.ts";
import { mapScalars, type Scalar, type Tree } from "./tree.ts";

export type Surroundings = {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text of a file; throws where it cannot be read, a Fault where its message says what to do. */
  readonly readFile: (path: string) => string;
  /** What relative paths are relative to. */
  readonly directory: string;
};

/** The tree with every `${...}` replaced; what could not be replaced stays and is in `findings`. */
export function substitute(
  tree: Tree,
  surroundings: Surroundings,
): { readonly tree: Tree; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const replaced = mapScalars(tree, (scalar, path) => {
    if (typeof scalar.value !== "string" || !scalar.value.includes("$")) return scalar;
    return substituteIn(scalar.value, { scalar, path, surroundings, findings });
  });
  return { tree: replaced, findings };
}

type Work = {
  readonly scalar: Scalar;
  readonly path: Path;
  readonly surroundings: Surroundings;
  readonly findings: Finding[];
};

function substituteIn(text: string, { scalar, path, surroundings, findings }: Work): Scalar {
  const substitutes: string[] = [];
  const value = text.replace(/\$\$|\$\{([^}]*)\}|\$\{/g, (match, reference: string | undefined) => {
    if (match === "$$") return "$";
    const found =
      reference === undefined
        ? { problem: "`${` has no closing `}`; write $$ for a dollar sign" }
        : lookUp(reference, surroundings);
    if ("value" in found) {
      substitutes.push(found.value);
      return found.value;
    }
    findings.push({ path, place: scalar.place, message: found.problem });
    return match;
  });
  if (substitutes.length === 0) return { ...scalar, value };
  return { ...scalar, value, template: text, substitutes };
}

type Found = { readonly value: string } | { readonly problem: string };

function lookUp(reference: string, surroundings: Surroundings): Found {
  if (reference.startsWith("file:"))
    return contentOf(reference.slice("file:".length), surroundings);
  const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(reference) ?? [];
  if (name === undefined) {
    return { problem: "expected ${NAME}, ${NAME:-default} or ${file:/path} between the braces" };
  }
  const value = Object.hasOwn(surroundings.env, name) ? surroundings.env[name] : undefined;
  if (value !== undefined && (value !== "" || fallback === undefined)) return { value };
  if (fallback !== undefined) return { value: fallback };
  return {
    // Whoever checks what the service has is in a shell, which has not read that file.
    problem: `the environment variable ${name} is not set here; set it (the service reads /etc/default/weir, a shell after "set -a; . /etc/default/weir"), or write \${${name}:-default}`,
  };
}

function contentOf(name: string, { readFile, directory }: Surroundings): Found {
  const path = resolve(directory, name);
  if (name === "") return { problem: "${file:} needs a path" };
  try {
    const content = readFile(path);
    if (content.length > limits.secretCharactersMax) {
      return {
        problem: `the file ${path} is longer than ${limits.secretCharactersMax} characters`,
      };
    }
    return { value: content.replace(/\r?\n$/, "") };
  } catch (error) {
    if (error instanceof Fault) return { problem: error.message };
    const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
    return { problem: `cannot read the file ${path}${code}; create it, or correct the path` };
  }
}
