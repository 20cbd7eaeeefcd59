/**
 * Dockerfile.arm64 as its stages and steps, and what a linter says of it: dockerfile-ast and dockerfile-utils,
 * the parser and checks of editors, stand in for the engine that the build machine does not have.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DockerfileParser, type Instruction } from "dockerfile-ast";
import { validate } from "dockerfile-utils";
import { root } from "../bundle.ts";

export const dockerfile: string = join(root, "Dockerfile.arm64");

export type Step = {
  /** In capitals. */
  readonly keyword: string;
  /** `--from=build` as from: build. */
  readonly flags: Readonly<Record<string, string>>;
  /** Words without the flags; those of a JSON array where it is one. */
  readonly words: readonly string[];
  readonly isJson: boolean;
  /** As it stands, with continued lines. */
  readonly text: string;
};

export type Stage = {
  readonly image: string;
  readonly name: string | undefined;
  readonly steps: readonly Step[];
};

/** Places and sentences. */
export function lintOf(text: string): readonly string[] {
  return validate(text).map(({ range, message }) => {
    const sentence = typeof message === "string" ? message : message.value;
    return `line ${range.start.line + 1}: ${sentence}`;
  });
}

export function readStages(): readonly Stage[] {
  return stagesOf(readFileSync(dockerfile, "utf8"));
}

export function stagesOf(text: string): readonly Stage[] {
  const stages: { image: string; name: string | undefined; steps: Step[] }[] = [];
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    const step = stepOf(instruction);
    if (step.keyword !== "FROM") {
      const stage = stages.at(-1);
      if (stage === undefined) throw new Error(`${step.keyword} comes before the first FROM`);
      stage.steps.push(step);
      continue;
    }
    const [image = "", as, name] = step.words;
    stages.push({ image, name: as?.toUpperCase() === "AS" ? name : undefined, steps: [] });
  }
  return stages;
}

function stepOf(instruction: Instruction): Step {
  const text = instruction.getRawArgumentsContent() ?? "";
  const array = jsonIn(text);
  return {
    keyword: instruction.getKeyword(),
    flags: flagsOf(instruction),
    words: array ?? instruction.getArguments().map((argument) => argument.getValue()),
    isJson: array !== undefined,
    text,
  };
}

type Flagged = { getFlags(): readonly { getName(): string; getValue(): string | null }[] };

function flagsOf(instruction: Instruction): Readonly<Record<string, string>> {
  if (!("getFlags" in instruction)) return {};
  const flags = (instruction as unknown as Flagged).getFlags();
  return Object.fromEntries(flags.map((flag) => [flag.getName(), flag.getValue() ?? ""]));
}

/** The array that a command is in its exec form, behind flags and the CMD of a health check. */
function jsonIn(text: string): readonly string[] | undefined {
  const start = text.indexOf("[");
  if (start === -1 || !text.trimEnd().endsWith("]")) return undefined;
  try {
    const array: unknown = JSON.parse(text.slice(start));
    return Array.isArray(array) ? array.map(String) : undefined;
  } catch {
    return undefined;
  }
}
