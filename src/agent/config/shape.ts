/**
 * The shape of a configuration file: runs the schema over its tree and turns what the schema finds
 * into findings with a path. Where there are some, the parts that are right by themselves are still
 * given, so that the checks can go on and everything is reported at once.
 */

import * as v from "valibot";
import { brokerSchema } from "./broker-schema.ts";
import type { BrokerSection } from "./broker-section.ts";
import type {
  CommitSection,
  ConfigFile,
  LimitsSection,
  MqttSection,
  PipelineSection,
  SourceSection,
  UplinkSection,
} from "./config-file.ts";
import type { Finding, Path } from "./fault.ts";
import { httpSchema } from "./http-schema.ts";
import { linkSchema } from "./link-schema.ts";
import type { LinkSection } from "./link-section.ts";
import { suggestion } from "./nearest.ts";
import {
  commitSchema,
  configSchema,
  limitsSchema,
  mqttSchema,
  pipelineSchema,
  sourceSchema,
  uplinkSchema,
} from "./schema.ts";
import { mayHoldSecret } from "./secrets.ts";
import { remoteSchema } from "./remote-schema.ts";
import type { RemoteSection } from "./remote-section.ts";
import { storeSchema } from "./store-schema.ts";
import type { StoreSection } from "./store-section.ts";
import {
  describe,
  keyPlaceAt,
  mapScalars,
  nodeAt,
  plainOf,
  type Scalar,
  type Tree,
} from "./tree.ts";

export type Shape = {
  /** undefined where there are findings. */
  readonly file: ConfigFile | undefined;
  /** One per item of the file's list, undefined where it has findings. */
  readonly brokers: readonly (BrokerSection | undefined)[];
  readonly sources: readonly (SourceSection | undefined)[];
  readonly pipelines: readonly (PipelineSection | undefined)[];
  readonly uplinks: readonly (UplinkSection | undefined)[];
  readonly links: readonly (LinkSection | undefined)[];
  /** These are undefined where they have findings. */
  readonly mqtt: MqttSection | undefined;
  readonly http: ConfigFile["http"] | undefined;
  readonly commit: CommitSection | undefined;
  readonly store: StoreSection | undefined;
  readonly limits: LimitsSection | undefined;
  /** Or the file has none. */
  readonly remote: RemoteSection | undefined;
  readonly findings: readonly Finding[];
};

export function shapeOf(tree: Tree): Shape {
  if (tree.kind !== "section") {
    const message = `expected a section of keys, found ${describe(tree, mayHoldSecret([]))}`;
    return { ...nothing, findings: [{ path: [], message }] };
  }
  const typed = withTypedSubstitutes(tree);
  const result = v.safeParse(configSchema, plainOf(typed), { abortPipeEarly: true });
  if (result.success) {
    return { remote: undefined, ...result.output, file: result.output, findings: [] };
  }
  return {
    file: undefined,
    brokers: itemsOf(typed, "brokers", brokerSchema),
    sources: itemsOf(typed, "sources", sourceSchema),
    pipelines: itemsOf(typed, "pipelines", pipelineSchema),
    uplinks: itemsOf(typed, "uplinks", uplinkSchema),
    links: itemsOf(typed, "links", linkSchema),
    mqtt: partOf(nodeAt(typed, ["mqtt"]), mqttSchema),
    http: partOf(nodeAt(typed, ["http"]), httpSchema),
    commit: partOf(nodeAt(typed, ["commit"]), commitSchema),
    store: partOf(nodeAt(typed, ["store"]), storeSchema),
    limits: partOf(nodeAt(typed, ["limits"]), limitsSchema),
    remote: partOf(nodeAt(typed, ["remote"]), remoteSchema),
    findings: distinct(
      result.issues.flatMap(innermost).map((issue) => findingOf(issue, tree, configSchema)),
    ),
  };
}

/** A tree by any schema: its value, or what is wrong with it. */
export function shapedBy<Value>(
  schema: v.GenericSchema<unknown, Value>,
  tree: Tree,
):
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "findings"; readonly findings: readonly Finding[] } {
  const result = v.safeParse(schema, plainOf(tree), { abortPipeEarly: true });
  if (result.success) return { kind: "value", value: result.output };
  const findings = result.issues.flatMap(innermost).map((issue) => findingOf(issue, tree, schema));
  return { kind: "findings", findings: distinct(findings) };
}

const nothing: Shape = {
  file: undefined,
  brokers: [],
  sources: [],
  pipelines: [],
  uplinks: [],
  links: [],
  mqtt: undefined,
  http: undefined,
  commit: undefined,
  store: undefined,
  limits: undefined,
  remote: undefined,
  findings: [],
};

type Issue = v.BaseIssue<unknown>;

/**
 * `port: ${PORT}` puts a text where a number is wanted. Where the schema refuses such a text for its
 * type, and it reads as a number, true or false, it becomes one; a password of digits stays a text.
 */
function withTypedSubstitutes(tree: Tree): Tree {
  const { issues = [] } = v.safeParse(configSchema, plainOf(tree));
  const wanted = new Map(
    issues.flatMap(innermost).map((issue) => [keyOf(pathOf(issue)), issue.type]),
  );
  return mapScalars(tree, (scalar, path) =>
    scalar.template === undefined ? scalar : typedAs(wanted.get(keyOf(path)), scalar),
  );
}

function typedAs(type: string | undefined, scalar: Scalar): Scalar {
  const { value } = scalar;
  const isNumber = typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value);
  if ((type === "number" || type === "literal" || type === "union") && isNumber) {
    return { ...scalar, value: Number(value) };
  }
  if (type === "boolean" && (value === "true" || value === "false")) {
    return { ...scalar, value: value === "true" };
  }
  return scalar;
}

function itemsOf<Section>(
  tree: Tree,
  key: string,
  schema: v.GenericSchema<unknown, Section>,
): (Section | undefined)[] {
  const node = nodeAt(tree, [key]);
  if (node?.kind !== "list") return [];
  return node.items.map((item) => partOf(item, schema));
}

/** The part as the schema makes it, defaults where the file has none; undefined where it is wrong. */
function partOf<Part>(
  node: Tree | undefined,
  schema: v.GenericSchema<unknown, Part>,
): Part | undefined {
  const result = v.safeParse(schema, node === undefined ? {} : plainOf(node));
  return result.success ? result.output : undefined;
}

/** Of a choice between shapes: what is wrong inside the one that was meant, if anything is. */
function innermost(issue: Issue): Issue[] {
  const deeper = (issue.issues ?? []).filter(({ path }) => path !== undefined);
  if (deeper.length === 0) return [issue];
  return deeper.flatMap(innermost).map((inner) => ({
    ...inner,
    path: [...(issue.path ?? []), ...(inner.path ?? [])] as typeof issue.path,
  }));
}

function pathOf({ path }: Issue): Path {
  return (path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)));
}

function findingOf(issue: Issue, tree: Tree, schema: v.GenericSchema): Finding {
  const path = pathOf(issue);
  const parent = path.slice(0, -1);
  const last = issue.path?.at(-1);
  if (last?.origin === "key") {
    const place = keyPlaceAt(tree, parent);
    return { path, place, message: `missing; ${nameOfPlace(parent)} needs this key` };
  }
  if (issue.type === "never") {
    const known = issue.message.split(" ");
    const unknown = suggestion(String(path.at(-1)), known);
    return { path, place: keyPlaceAt(tree, path), message: `unknown key; ${unknown}` };
  }
  const found = describe(nodeAt(tree, path), mayHoldSecret(path, schema));
  return { path, message: `expected ${issue.message}, found ${found}` };
}

function nameOfPlace(path: Path): string {
  const last = path.at(-1);
  if (last === undefined) return "the file";
  return typeof last === "number" ? `each of ${String(path.at(-2))}` : last;
}

function distinct(findings: readonly Finding[]): readonly Finding[] {
  const byText = new Map(
    findings.map((finding) => [`${keyOf(finding.path)} ${finding.message}`, finding]),
  );
  return [...byText.values()];
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}
