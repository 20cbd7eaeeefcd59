/**
 * compose.yaml, k3s.yaml and the Ansible role against the image, the service and each other; and each
 * configuration in them against `weir check`.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  cpSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test, type TestContext } from "node:test";
import { parse, parseAllDocuments, stringify } from "yaml";
import { checkFiles } from "../../src/agent/cli/checked-files.ts";
import { readConfig } from "../../src/agent/cli/configured.ts";
import type { Config } from "../../src/agent/config/config.ts";
import { version } from "../../src/agent/version.ts";
import { limits } from "../../src/core/limits.ts";

type Service = {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly user: string;
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly privileged?: unknown;
  readonly ports?: readonly string[];
  readonly secrets?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, unknown>>;
  readonly command?: readonly string[];
  readonly healthcheck: { readonly test?: readonly string[]; readonly disable?: boolean };
};

const root = resolve(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const compose = parse(read("deploy/compose.yaml"), { merge: true }) as {
  services: Readonly<Record<string, Service>>;
  secrets: Readonly<Record<string, { file: string }>>;
  volumes: Readonly<Record<string, object>>;
};
const k3s = parseAllDocuments(read("deploy/k3s.yaml")).map((one) => one.toJS() as Manifest);
const dockerfile = read("Dockerfile.arm64");
const unit = read("deploy/weir.service");

/** What YAML gives, looked at as it comes. */
type Parsed = ReturnType<typeof parse>;
type Manifest = {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [key: string]: Parsed;
};

const image = `weir:${version}`;
const [, user] = /^USER (\d+:\d+)$/m.exec(dockerfile) ?? [];
const [, program, config] = /^ExecStart=(\S+) run -c (\S+)$/m.exec(unit) ?? [];
const data = `/var/lib/${/^StateDirectory=(\S+)$/m.exec(unit)?.[1]}`;

test("every YAML file of deploy/ can be read, without a key that is there twice", () => {
  const files = globSync("deploy/**/*.yaml", { cwd: root });
  assert.ok(files.length > 12);
  for (const file of files) {
    for (const one of parseAllDocuments(read(file), { merge: true })) {
      assert.deepEqual([...one.errors, ...one.warnings], [], file);
    }
  }
});

test("the service and the image agree on program, configuration, data and health", () => {
  assert.deepEqual(
    [program, config, data],
    ["/usr/bin/weir", "/etc/weir/weir.yaml", "/var/lib/weir"],
  );
  for (const line of [`ENTRYPOINT ["${program}"]`, `VOLUME ["${data}"]`, "EXPOSE 1883 8080"]) {
    assert.ok(dockerfile.includes(line), line);
  }
  const { test: health } = compose.services["weir"]!.healthcheck;
  assert.deepEqual(health, ["CMD", program, "status", "--alive", "-c", config]);
  assert.ok(
    dockerfile
      .replaceAll("\n", " ")
      .includes(`CMD ${JSON.stringify(health!.slice(1)).replaceAll(",", ", ")}`),
  );
});

test("no container is root, writes to its own root, or is reached from other machines", () => {
  assert.deepEqual(Object.keys(compose.services), [
    "weir",
    "plant",
    "kafka",
    "prometheus",
    "grafana",
  ]);
  for (const [name, service] of Object.entries(compose.services)) {
    assert.match(service.image, /^[a-z/]+:v?\d+\.\d+\.\d+$/, `${name} is pinned`);
    assert.match(service.user, /^[1-9]\d*:\d+$/, `${name} is not root`);
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ["ALL"], name);
    assert.deepEqual(service.security_opt, ["no-new-privileges:true"], name);
    assert.equal(service.privileged, undefined, name);
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
    assert.ok(service.healthcheck.test !== undefined || name === "plant", `${name} is asked`);
    for (const secret of service.secrets ?? []) assert.ok(secret in compose.secrets, secret);
    const secrets = Object.keys(service.environment ?? {}).filter((key) => /PASSW|TOKEN/.test(key));
    assert.ok(
      secrets.every((key) => key.endsWith("__FILE")),
      `${name} has secrets from files`,
    );
    for (const volume of service.volumes ?? []) {
      const [from, , mode] = volume.split(":");
      if (!from!.startsWith(".")) assert.ok(from! in compose.volumes, volume);
      else assert.ok(mode === "ro" && statSync(join(root, "deploy", from!)), `${volume} is read`);
    }
  }
  const { image: own, user: ownUser, volumes, build } = compose.services["weir"]!;
  assert.deepEqual([own, ownUser], [image, user]);
  assert.ok(volumes!.includes(`weir:${data}`));
  assert.ok(volumes!.includes(`./compose-gateway.yaml:${config}:ro`));
  assert.equal(
    resolve(root, "deploy", build!.context, build!.dockerfile),
    join(root, "Dockerfile.arm64"),
  );
});

test("an agent with little memory has from its start what it would else start anew for", () => {
  const wanted = {
    MALLOC_ARENA_MAX: "1",
    MALLOC_MMAP_THRESHOLD_: String(limits.memoryMappedPieceBytes),
  };
  assert.deepEqual(compose.services["weir"]!.environment, wanted);
  const { env } = k3s.at(-1)!["spec"].template.spec.containers[0];
  const given = env.map(({ name, value }: Record<string, string>) => [name, value]);
  assert.deepEqual(Object.fromEntries(given), wanted);
});

test("the secrets of compose.yaml are what its script makes, once, and git and the image leave out", (t) => {
  const folder = scratch(t);
  cpSync(join(root, "deploy/compose-secrets.sh"), join(folder, "compose-secrets.sh"));
  const make = (): void => void execFileSync("sh", ["compose-secrets.sh"], { cwd: folder });
  const all = (): readonly string[] =>
    Object.values(compose.secrets).map(({ file }) => readFileSync(join(folder, file), "utf8"));
  make();
  const made = all();
  for (const secret of made) assert.match(secret, /^[\w-]{43}$/);
  assert.equal(new Set(made).size, made.length);
  assert.equal(statSync(join(folder, "secrets")).mode & 0o777, 0o700);
  make();
  assert.deepEqual(all(), made);
  assert.ok(read(".gitignore").split("\n").includes("deploy/secrets/"));
  assert.ok(read(".dockerignore").split("\n").includes("deploy/secrets"));
});

test("the agent of compose.yaml takes its configuration, the plant and Prometheus", async (t) => {
  const folder = scratch(t);
  for (const name of Object.keys(compose.secrets))
    writeFileSync(join(folder, name), name.padEnd(40, "x"));
  const text = read("deploy/compose-gateway.yaml").replaceAll("/run/secrets/", `${folder}/`);
  const found = await checked(t, text);
  assert.equal(found.dataDirectory, data);
  assert.deepEqual([found.mqtt?.port, found.http?.port], [1883, 8080]);
  assert.deepEqual(found.http?.allowedHosts, ["weir"]);
  const [uplink] = found.uplinks;
  assert.ok(uplink?.kind === "kafka");
  const { environment } = compose.services["kafka"]!;
  assert.ok(
    String(environment!["KAFKA_ADVERTISED_LISTENERS"]).includes(`INSIDE://${uplink.brokers[0]}`),
  );
  const { command } = compose.services["plant"]!;
  assert.ok(command!.join(" ").includes("--host weir "));
  assert.ok(
    command!.join(" ").includes("--username plant --password-file /run/secrets/plant_password"),
  );
});

test("the agent of k3s.yaml is alone with its volume, and is neither root nor writes to its root", () => {
  assert.deepEqual(
    k3s.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`),
    [
      "Namespace /weir",
      "ConfigMap weir/weir",
      "Service weir/weir",
      "Service weir/weir-http",
      "StatefulSet weir/weir",
    ],
  );
  const { spec } = k3s.at(-1)!;
  const { spec: pod, metadata } = spec.template;
  const [container, ...others] = pod.containers;
  assert.deepEqual([spec.replicas, others], [1, []]);
  assert.deepEqual(metadata.labels, spec.selector.matchLabels);
  const [uid, gid] = user!.split(":").map(Number);
  const { runAsNonRoot, runAsUser, runAsGroup, fsGroup, seccompProfile } = pod.securityContext;
  assert.deepEqual([runAsNonRoot, runAsUser, runAsGroup, fsGroup], [true, uid, gid, gid]);
  assert.equal(seccompProfile.type, "RuntimeDefault");
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  assert.equal(container.image, image);
  assert.deepEqual(container.args, ["run", "-c", config]);
  assert.equal(container.resources.limits.memory, container.resources.requests.memory);
  assert.equal(container.resources.limits.cpu, undefined);
  assert.ok(pod.terminationGracePeriodSeconds >= 120, "as long as TimeoutStopSec of weir.service");
  const ports = new Map(
    container.ports.map((one: { name: string; containerPort: number }) => [
      one.name,
      one.containerPort,
    ]),
  );
  assert.deepEqual(
    [...ports],
    [
      ["mqtt", 1883],
      ["http", 8080],
    ],
  );
  for (const service of k3s.filter(({ kind }) => kind === "Service")) {
    assert.deepEqual(service["spec"].selector, spec.selector.matchLabels);
    for (const { targetPort, port } of service["spec"].ports)
      assert.equal(ports.get(targetPort), port);
  }
  const { startupProbe, livenessProbe, readinessProbe } = container;
  assert.equal(
    startupProbe.periodSeconds * startupProbe.failureThreshold,
    15 * 60,
    "TimeoutStartSec=15min",
  );
  assert.deepEqual(livenessProbe.httpGet, { path: "/healthz", port: "http" });
  assert.deepEqual(readinessProbe.tcpSocket, { port: "mqtt" });
  const mounts = container.volumeMounts.map(
    ({ name, mountPath }: Record<string, string>) => `${name} ${mountPath}`,
  );
  assert.deepEqual(mounts, [`data ${data}`, "config /etc/weir", "secrets /etc/weir-secrets"]);
});

test("the agent of k3s.yaml takes its configuration, which fits into its volume", async (t) => {
  const folder = scratch(t);
  writeFileSync(join(folder, "token-hash"), `sha256:${"ab".repeat(32)}`);
  const { data: files } = k3s.find(({ kind }) => kind === "ConfigMap") as unknown as {
    data: Readonly<Record<string, string>>;
  };
  const text = files["weir.yaml"]!.replaceAll("/etc/weir-secrets/", `${folder}/`);
  const found = await checked(t, text);
  assert.equal(found.dataDirectory, data);
  assert.deepEqual([found.mqtt?.port, found.http?.port], [1883, 8080]);
  const { spec } = k3s.at(-1)!;
  assert.equal(spec.volumeClaimTemplates[0].spec.resources.requests.storage, "8Gi");
  assert.ok(found.store.budgetBytes + found.store.freeBytes <= 8 * 2 ** 30);
  const own = k3s.find(
    ({ kind, metadata }) => kind === "Service" && metadata.name === "weir-http",
  )!;
  const { name, namespace } = own.metadata;
  assert.ok(found.http?.allowedHosts?.includes(`${name}.${namespace}.svc.cluster.local`));
});

test("the Ansible role writes a configuration that weir takes, as it is and as its README shows", async (t) => {
  const role = "deploy/ansible/roles/weir";
  const folder = scratch(t);
  writeFileSync(join(folder, "kafka_password"), "secret");
  const template = read(`${role}/templates/weir.yaml.j2`);
  const [, first] = /\{\{ (\{.*?\}) \| combine\(weir_config\)/.exec(template)!;
  const [, shown] = /```yaml\n([\s\S]*?)```/.exec(read("deploy/ansible/README.md"))!;
  for (const { weir_config: given } of [
    parse(read(`${role}/defaults/main.yaml`)),
    parse(shown!).gateways.vars,
  ]) {
    const fixed = parse(first!.replace("weir_agent", "gateway-1"));
    assert.deepEqual(Object.keys(fixed), ["version", "agent", "data"]);
    const text = stringify({ ...fixed, ...given });
    const found = await checked(t, text.replaceAll("/etc/weir/secrets/", `${folder}/`));
    assert.equal(found.dataDirectory, data);
  }
  const variables = Object.keys(parse(read(`${role}/defaults/main.yaml`)));
  for (const name of Object.keys(parse(shown!).gateways.vars))
    assert.ok(variables.includes(name), name);
});

test("the Ansible role puts program, configuration and users where the service looks", () => {
  const role = "deploy/ansible/roles/weir";
  assert.ok(read(`${role}/tasks/package.yaml`).includes(`weir_command: ${program}\n`));
  const tasks = parse(read(`${role}/tasks/configuration.yaml`)) as readonly Record<
    string,
    Parsed
  >[];
  const template = tasks.find((task) => "ansible.builtin.template" in task)!;
  const { dest, validate } = template["ansible.builtin.template"];
  assert.deepEqual([dest, validate], [config, "{{ weir_command }} check -c %s"]);
  assert.equal(template["notify"], "Restart weir");
  const [handler] = parse(read(`${role}/handlers/main.yaml`));
  assert.equal(handler.name, "Restart weir");
});

/** What `weir check` finds; fails the test for what it would refuse. */
async function checked(t: TestContext, text: string): Promise<Config> {
  const file = join(scratch(t), "checked.yaml");
  writeFileSync(file, text);
  const errors = t.mock.method(console, "error", () => undefined);
  const found = await readConfig(file).catch((error: unknown) => {
    assert.fail(
      `${String(error)}: ${errors.mock.calls.map((call) => call.arguments[0]).join("\n")}`,
    );
  });
  errors.mock.restore();
  assert.deepEqual((await checkFiles(found)).problems, []);
  return found;
}

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "weir-deploy-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}
