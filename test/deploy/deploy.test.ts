/** What is under deploy/ is read by other programs; here it is held to what weir is. */

import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { routes } from "../../src/agent/http/routes.ts";
import { metricsText } from "../../src/agent/metrics/metrics.ts";
import { parseConfig } from "../../src/agent/config/parse.ts";
import { version } from "../../src/agent/version.ts";
import { readStages } from "../../tools/package/container/dockerfile.ts";
import { sampleLedger, sampleStatus } from "../support/agent-view.ts";

const root = resolve(import.meta.dirname, "../..");
const deploy = join(root, "deploy");
const read = (path: string): string => readFileSync(join(deploy, path), "utf8");

/** A node of a document; what is not there is undefined. */
function at(tree: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (node, key) =>
      typeof node === "object" && node !== null
        ? (node as Readonly<Record<string, unknown>>)[String(key)]
        : undefined,
    tree,
  );
}

function list(tree: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = at(tree, ...path);
  assert.ok(Array.isArray(found), `${path.join(".")} is a list`);
  return found;
}

function documents(path: string): readonly unknown[] {
  const all = parseAllDocuments(read(path));
  assert.ok(Array.isArray(all), path);
  for (const document of all) assert.deepEqual(document.errors, [], path);
  return all.map((document): unknown => document.toJS());
}

const unit = read("weir.service");
const gateway = documents("gateway.yaml")[0];
const manifest = documents("k3s.yaml");
const container = at(manifest[1], "spec", "template", "spec", "containers", 0);
const compose = documents("compose.yaml")[0];

/** Label pairs and names of each metric there is. */
const exposed = new Map<string, { readonly labels: Set<string>; readonly pairs: Set<string> }>();
for (const line of metricsText(sampleStatus, sampleLedger).split("\n")) {
  const [, name, given = ""] = /^([a-z_0-9]+)(?:\{(.*)\})? /.exec(line) ?? [];
  if (name === undefined || line.startsWith("#")) continue;
  const known = exposed.get(name) ?? { labels: new Set(), pairs: new Set() };
  for (const [pair, label] of given.matchAll(/([a-z_]+)="[^"]*"/g)) {
    known.labels.add(label!);
    known.pairs.add(pair);
  }
  exposed.set(name, known);
}

/** What is wrong with an expression of Prometheus: metrics, labels or values that weir does not have. */
function strangeIn(expression: string): readonly string[] {
  const strange: string[] = [];
  for (const [, name, matchers = ""] of expression.matchAll(/\b(weir_\w+)(?:\{([^}]*)\})?/g)) {
    const known = exposed.get(name!);
    if (known === undefined) {
      strange.push(name!);
      continue;
    }
    for (const [, label, operator, values] of matchers.matchAll(/(\w+)(=~|!=|=)"([^"]*)"/g)) {
      if (label === "instance") continue; // Prometheus gives it
      for (const value of values!.split("|")) {
        if (operator !== "!=" && !known.pairs.has(`${label}="${value}"`)) {
          strange.push(`${name}{${label}="${value}"}`);
        }
      }
      if (!known.labels.has(label!)) strange.push(`${name}{${label}}`);
    }
  }
  return [...new Set(strange)];
}

test("every YAML file is one", () => {
  const files = globSync("**/*.{yml,yaml}", { cwd: deploy });
  assert.ok(files.length >= 10);
  for (const file of files) documents(file);
});

test("dashboard and rules ask for metrics that there are, with labels that they have", () => {
  assert.deepEqual(strangeIn('weir_none > weir_state{state="well", colour="red"}'), [
    "weir_none",
    'weir_state{state="well"}',
    'weir_state{colour="red"}',
    "weir_state{colour}",
  ]);
  const dashboard: unknown = JSON.parse(read("monitoring/grafana/weir.json"));
  const asked = list(dashboard, "panels").flatMap((panel) =>
    list(panel, "targets").map((target) => String(at(target, "expr"))),
  );
  const rules = list(documents("monitoring/weir.rules.yml")[0], "groups", 0, "rules");
  const expressions = [...asked, ...rules.map((rule) => String(at(rule, "expr")))];
  assert.ok(expressions.length > 30);
  for (const expression of expressions) assert.deepEqual(strangeIn(expression), [], expression);
});

test("words of the dashboard and of alerts name labels that their metrics have", () => {
  const rules = list(documents("monitoring/weir.rules.yml")[0], "groups", 0, "rules");
  for (const rule of rules) {
    const [metric = "up"] = /weir_\w+/.exec(String(at(rule, "expr"))) ?? [];
    const words = String(at(rule, "annotations", "summary"));
    for (const [, label] of words.matchAll(/\$labels\.(\w+)/g)) {
      const known = label === "instance" || exposed.get(metric)?.labels.has(label!);
      assert.ok(known, `${metric} has ${label}`);
    }
  }
});

test("Prometheus asks where the agent listens, and Grafana asks Prometheus", () => {
  const { port } = at(gateway, "http") as { readonly port: number };
  const scrape = documents("monitoring/prometheus.yml")[0];
  assert.deepEqual(at(scrape, "scrape_configs", 0, "static_configs", 0, "targets"), [
    `127.0.0.1:${port}`,
  ]);
  assert.equal(at(compose, "services", "prometheus", "network_mode"), "service:weir");
  const source = at(documents("monitoring/grafana/datasource.yaml")[0], "datasources", 0);
  assert.equal(at(source, "url"), "http://weir:9090");
  assert.match(
    read("monitoring/grafana/weir.json"),
    new RegExp(`"uid": "${String(at(source, "uid"))}"`),
  );
  assert.deepEqual(at(compose, "services", "weir", "ports"), ["127.0.0.1:9090:9090"]);
});

test("files that containers are given are there, and images have exact tags", () => {
  for (const service of Object.values(at(compose, "services") as object)) {
    assert.match(String(at(service, "image")), /^[\w/-]+:v?\d+/);
    for (const volume of list(service, "volumes").map(String)) {
      const [from = ""] = volume.split(":");
      if (from.startsWith(".")) assert.ok(existsSync(resolve(deploy, from)), volume);
    }
  }
});

test("the agent of k3s starts with its configuration, and is asked where it answers", async () => {
  const text = String(at(manifest[0], "data", "weir.yaml"));
  const outcome = await parseConfig(text, {
    file: "/etc/weir/weir.yaml",
    cwd: "/etc/weir",
    env: { WEIR_AGENT: "node-1", WEIR_TOKEN_HASH: `sha256:${"0".repeat(64)}` },
    readFile: () => "",
  });
  assert.ok(outcome.kind === "config", JSON.stringify(outcome));
  const { mqtt, http, dataDirectory } = outcome.config;
  const ports = list(container, "ports");
  assert.deepEqual(
    ports.map((port) => [at(port, "name"), at(port, "containerPort")]),
    [
      ["mqtt", mqtt.port],
      ["http", http?.port],
    ],
  );
  for (const probe of ["startupProbe", "livenessProbe"]) {
    assert.ok(routes.has(String(at(container, probe, "httpGet", "path"))), probe);
  }
  const mounts = list(container, "volumeMounts").map((mount) => at(mount, "mountPath"));
  assert.ok(mounts.includes(dataDirectory));
});

test("image, package and service agree on user, command, data and version", () => {
  const image = readStages().at(-1)!;
  const of = (keyword: string) => image.steps.find((step) => step.keyword === keyword)!.words;
  const command = [...of("ENTRYPOINT"), ...of("CMD")].join(" ");
  assert.equal(/^ExecStart=(.*)$/m.exec(unit)?.[1], command);
  assert.deepEqual(at(container, "args"), of("CMD"));
  const pod = at(manifest[1], "spec", "template", "spec", "securityContext");
  assert.equal(of("USER")[0], `${String(at(pod, "runAsUser"))}:${String(at(pod, "runAsGroup"))}`);
  assert.equal(at(gateway, "data"), of("VOLUME")[0]);
  assert.equal(join("/var/lib", /^StateDirectory=(.*)$/m.exec(unit)?.[1] ?? ""), of("VOLUME")[0]);
  assert.deepEqual(of("EXPOSE").map(Number), [
    at(gateway, "mqtt", "port"),
    at(gateway, "http", "port"),
  ]);
  assert.equal(at(container, "image"), `weir:${version}`);
  const stop = Number(/^TimeoutStopSec=(\d+)min$/m.exec(unit)?.[1]) * 60;
  const grace = at(manifest[1], "spec", "template", "spec", "terminationGracePeriodSeconds");
  assert.equal(grace, stop);
});

test("the Ansible role installs this version, and what its tasks notify and name is there", () => {
  const role = "ansible/roles/weir";
  const defaults = documents(`${role}/defaults/main.yml`)[0];
  assert.ok(String(at(defaults, "weir_package")).endsWith(`/dist/weir_${version}_arm64.deb`));
  const handlers = list(documents(`${role}/handlers/main.yml`)[0]).map((one) => at(one, "name"));
  for (const task of list(documents(`${role}/tasks/main.yml`)[0])) {
    const notified = at(task, "notify");
    if (notified !== undefined) assert.ok(handlers.includes(notified), JSON.stringify(notified));
    const names = new Set(Object.keys(defaults as object));
    for (const [name] of JSON.stringify(task).matchAll(/\bweir_\w+/g))
      assert.ok(names.has(name), name);
  }
  assert.ok(existsSync(join(deploy, dirname(role), "weir/meta/main.yml")));
});
