/**
 * The published JSON Schemas of weir.yaml and of scenarios, made from the schemas that they are checked
 * with: `node tools/schema.ts` writes schema/*.schema.json, a test holds the two together.
 *
 * A schema describes the file as it is written: where the agent wants a number or a pattern, an editor
 * must also accept `${...}`, which is replaced before the agent looks.
 */

import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { scenarioSchema } from "../src/agent/cli/scenario/scenario-schema.ts";
import { configSchema } from "../src/agent/config/schema.ts";

const folder = resolve(import.meta.dirname, "../schema");

export const schemaFile: string = resolve(folder, "weir.schema.json");
export const scenarioSchemaFile: string = resolve(folder, "scenario.schema.json");

/** The text of schema/weir.schema.json. */
export function schemaText(): string {
  return textOf(configSchema, { $id: "weir.schema.json", title: "weir.yaml" });
}

/** The text of schema/scenario.schema.json. */
export function scenarioSchemaText(): string {
  const title = "a scenario of weir sim";
  return textOf(scenarioSchema, { $id: "scenario.schema.json", title });
}

function textOf(
  of: v.GenericSchema,
  names: { readonly $id: string; readonly title: string },
): string {
  const generated = toJsonSchema(of, { typeMode: "input", target: "draft-2020-12" });
  const schema = {
    ...names,
    ...withSubstitution(generated),
    $defs: {
      substitution: {
        type: "string",
        pattern: substitutionPattern,
        description: "Replaced before it is checked: ${NAME}, ${NAME:-default}, ${file:/path}.",
      },
    },
  };
  return `${shortListsOnOneLine(JSON.stringify(schema, undefined, 2))}\n`;
}

/** As the formatter of this repository writes it. */
function shortListsOnOneLine(json: string): string {
  return json.replace(
    /^(.*)\[\n((?: *(?:"[^"\n]*"|[\d.]+),?\n)+) *\](,?)$/gm,
    (lines, head: string, items: string, comma: string) => {
      const line = `${head}[${items.trim().replace(/\n */g, " ")}]${comma}`;
      return line.length <= COLUMNS_MAX ? line : lines;
    },
  );
}

const COLUMNS_MAX = 100;

const substitutionPattern = "\\$\\{[^}]+\\}";

/** A node of a JSON Schema in which every value that is not free text may also be `${...}`. */
function withSubstitution(node: JsonSchema): JsonSchema {
  const { properties, items, anyOf, additionalProperties } = node;
  const isSection = node.type === "object";
  const mapped: JsonSchema = {
    ...node,
    ...(properties === undefined ? {} : { properties: mapValues(properties) }),
    ...(isSchema(items) ? { items: withSubstitution(items) } : {}),
    ...(anyOf === undefined ? {} : { anyOf: anyOf.filter(isSchema).map(withSubstitution) }),
    // A section with its own keys knows no others; a section of tags takes any.
    ...(isSection && properties !== undefined ? { additionalProperties: false } : {}),
    ...(isSection && properties === undefined && isSchema(additionalProperties)
      ? { additionalProperties: withSubstitution(additionalProperties) }
      : {}),
  };
  return isConstrained(node) ? orSubstitution(mapped) : mapped;
}

function mapValues(properties: Readonly<Record<string, JsonSchema | boolean>>): {
  [name: string]: JsonSchema;
} {
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, value]) =>
      isSchema(value) ? [[name, withSubstitution(value)]] : [],
    ),
  );
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isConstrained({ type, pattern, enum: options }: JsonSchema): boolean {
  const isNumberLike = type === "number" || type === "integer" || type === "boolean";
  return isNumberLike || pattern !== undefined || options !== undefined;
}

function orSubstitution({ description, default: fallback, ...rest }: JsonSchema): JsonSchema {
  return {
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
    anyOf: [rest, { $ref: "#/$defs/substitution" }],
  };
}

if (import.meta.main) {
  writeFileSync(schemaFile, schemaText());
  writeFileSync(scenarioSchemaFile, scenarioSchemaText());
  console.log(`${schemaFile}\n${scenarioSchemaFile}`);
}
