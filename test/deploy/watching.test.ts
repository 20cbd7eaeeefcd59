/** The dashboard and the alerting rules against what an agent says of itself, and against promtool. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { parse, stringify } from "yaml";
import { metricsText } from "../../src/agent/metrics/metrics.ts";
import type { Status } from "../../src/agent/status.ts";
import { sampleLedger, sampleStatus } from "../support/agent-view.ts";
import { findTool, requireTool } from "../support/require-tool.ts";
import { faultsOf, type Series, seriesOf } from "./promql.ts";

const deploy = resolve(import.meta.dirname, "../../deploy");

type Trouble = {
  readonly alert: string;
  /** Each with a value a minute for two hours, in promtool's notation. */
  readonly samples: readonly {
    readonly series: string;
    readonly ill: string;
    readonly well: string;
  }[];
};

const day = 86_400;

/** A gateway that has it, and one that is as near to it as may be. */
const troubles: readonly Trouble[] = [
  trouble("WeirUnreachable", 'up{job="weir"}', "0x120", "0x110 1x10"),
  trouble("WeirNotReady", 'weir_state{state="degraded"}', "1x120", "1x110 0x10"),
  trouble("WeirDisk", 'weir_degraded{reason="disk_full"}', "1x120", "0x120"),
  trouble("WeirLedgerUnbalanced", "weir_ledger_balanced{}", "0x120", "1x120"),
  {
    alert: "WeirOutboxNearlyFull",
    samples: [
      { series: 'weir_outbox_bytes{lane="summaries"}', ill: "81x120", well: "80x120" },
      { series: 'weir_outbox_bytes_max{lane="summaries"}', ill: "100x120", well: "100x120" },
    ],
  },
  trouble(
    "WeirOutboxDropped",
    'weir_outbox_dropped_readings_total{pipeline="a"}',
    "_x100 7x20",
    "7x120",
  ),
  trouble("WeirUplinkHalted", 'weir_uplink_state{state="halted",lane="alerts"}', "1x120", "0x120"),
  trouble(
    "WeirUplinkBehind",
    'weir_uplink_oldest_age_seconds{lane="alerts"}',
    "901x120",
    "900x120",
  ),
  trouble("WeirDeadLetters", "weir_dead_letters_total{}", "0+1x120", "5x120"),
  trouble("WeirBrokerAway", 'weir_broker_state{state="running"}', "0x120", "0x110 1x10"),
  trouble(
    "WeirRemoteConfiguration",
    'weir_remote_refused_total{code="expired"}',
    "_x100 1x20",
    "1x120",
  ),
  trouble("WeirReadingsLost", 'weir_tables_fate_readings{fate="lost"}', "3x120", "0x120"),
  trouble("WeirMemoryShort", "weir_memory_level{}", "2x120", "1x120"),
  trouble("WeirWritesMissed", "weir_writes_missed{}", "1x120", "0x70 1x50"),
  trouble(
    "WeirCertificateExpires",
    'weir_certificate_expires_seconds{file="server.crt"}',
    `${14 * day - 1}x120`,
    `${14 * day}x120`,
  ),
  trouble("WeirClockUntrusted", "weir_clock_trusted{}", "0x120", "1x120"),
  trouble(
    "WeirRestarts",
    "weir_process_start_time_seconds{}",
    "1x100 2x5 3x5 4x5 5x5",
    "1x105 2x5 3x5 4x5",
  ),
];

function trouble(alert: string, series: string, ill: string, well: string): Trouble {
  return { alert, samples: [{ series, ill, well }] };
}

type Rule = {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
};

type Panel = {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
};

const read = (path: string): string => readFileSync(join(deploy, path), "utf8");
const { groups } = parse(read("prometheus-rules.yaml")) as {
  groups: readonly { readonly rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);
const { panels } = JSON.parse(read("grafana/weir.json")) as {
  panels: readonly Panel[];
};
const targets = panels.flatMap(({ title, targets: own = [] }) =>
  own.map(({ expr, legendFormat }) => ({ title, expr, legendFormat })),
);

const remote: Status["remote"] = {
  inForce: { version: 7, digest: "ab" },
  trial: undefined,
  unused: undefined,
  highest: 7,
  counters: {
    accepted: 7,
    proven: 6,
    rolledBack: 1,
    refused: { expired: 1 },
    elsewhere: 0,
    unwritten: 0,
  },
  audit: [],
  trouble: undefined,
  channels: [],
};

/** What the agent gives, and what Prometheus has of its own. */
const series: Series = new Map<string, ReadonlyMap<string, ReadonlySet<string>>>([
  ...seriesOf(metricsText({ ...sampleStatus, remote }, sampleLedger)),
  ["up", new Map()],
  [
    "ALERTS",
    new Map([
      ["alertname", new Set<string>()],
      ["alertstate", new Set(["pending", "firing"])],
    ]),
  ],
]);

test("each alerting rule asks for what an agent gives, and names labels that it has", () => {
  for (const { alert, expr, annotations } of rules) {
    const named = `${annotations.summary} ${annotations.description}`;
    assert.deepEqual(faultsOf({ expression: expr, named }, series), [], alert);
  }
});

test("each panel asks for what an agent gives, and names labels that it has", () => {
  assert.ok(targets.length > 60);
  for (const { title, expr, legendFormat } of targets) {
    assert.deepEqual(faultsOf({ expression: expr, named: legendFormat }, series), [], title);
    assert.ok(expr.includes('instance=~"$instance"'), `${title} keeps to the chosen gateways`);
  }
});

test("a name that no agent has, a label and a value are found", () => {
  const faults = (expression: string, named = ""): readonly string[] =>
    faultsOf({ expression, named }, series);
  assert.deepEqual(faults("weir_outbox_full"), ["no agent has weir_outbox_full"]);
  assert.deepEqual(faults('weir_state{reason="x"}'), ["weir_state has no label reason"]);
  assert.deepEqual(faults('weir_state{state=~"running|asleep"}'), [
    'weir_state has no state="asleep"',
  ]);
  assert.deepEqual(faults("sum by (uplink) (weir_log_bytes)"), [
    "weir_log_bytes has no label uplink",
  ]);
  assert.deepEqual(faults("sum by (lane) (weir_outbox_bytes)", "{{ $labels.instance }}"), [
    "its result has no label instance",
  ]);
});

test("no two panels have a number, or lie on each other", () => {
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
    assert.ok(x + w <= 24);
    return Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`);
  });
  assert.equal(new Set(cells).size, cells.length);
});

test("what operators ask for first is on the dashboard", () => {
  const asked = new Set(targets.flatMap(({ expr }) => expr.match(/weir_\w+/g) ?? []));
  for (const metric of [
    "weir_source_messages_total",
    "weir_mqtt_pubacks_total",
    "weir_source_readings_total",
    "weir_ledger_balanced",
    "weir_uplink_lag_records",
    "weir_uplink_state",
    "weir_link_up",
    "weir_device_written_bytes_per_day",
    "weir_pipeline_alerts_total",
    "weir_memory_ceiling_bytes",
    "weir_degraded",
  ]) {
    assert.ok(asked.has(metric), metric);
  }
});

test("promtool takes the rules, and each query of the dashboard", (t) => {
  if (!requireTool(t, "promtool")) return;
  const folder = mkdtempSync(join(tmpdir(), "weir-rules-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const queries = targets.map(({ expr }, index) => ({
    record: `panel:${index}`,
    expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".+"),
  }));
  const file = join(folder, "dashboard.yaml");
  writeFileSync(file, stringify({ groups: [{ name: "dashboard", rules: queries }] }));
  const said = promtool(["check", "rules", join(deploy, "prometheus-rules.yaml"), file]);
  assert.match(said, new RegExp(`${queries.length} rules found`));
});

test("each alert fires for a gateway that has the trouble, and for none that is well", (t) => {
  if (!requireTool(t, "promtool")) return;
  const names = rules.map(({ alert }) => alert);
  assert.deepEqual(troubles.map(({ alert }) => alert).toSorted(), names.toSorted());
  const at = (name: string, gateway: string): string =>
    name.replace("}", `${name.endsWith("{}") ? "" : ","}instance="${gateway}"}`);
  const tests = troubles.map(({ alert, samples }) => ({
    interval: "1m",
    input_series: samples.flatMap(({ series: name, ill, well }) => [
      { series: at(name, "ill"), values: ill },
      { series: at(name, "well"), values: well },
    ]),
    promql_expr_test: [
      {
        expr: 'count by (alertname, instance) (ALERTS{alertstate="firing"})',
        eval_time: "2h",
        exp_samples: [{ labels: `{alertname="${alert}",instance="ill"}`, value: 1 }],
      },
    ],
  }));
  const folder = mkdtempSync(join(tmpdir(), "weir-alerts-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "alerts.yaml");
  const rule_files = [join(deploy, "prometheus-rules.yaml")];
  writeFileSync(file, stringify({ rule_files, evaluation_interval: "1m", tests }));
  promtool(["test", "rules", file]);
});

test("Prometheus scrapes the agent with its token and loads the rules, Grafana asks Prometheus", () => {
  const prometheus = parse(read("prometheus.yaml"));
  const [scrape] = prometheus.scrape_configs;
  assert.equal(scrape.job_name, "weir", "rules ask for up{job=...}");
  assert.deepEqual(scrape.static_configs, [{ targets: ["weir:8080"] }]);
  const provider = parse(read("grafana/provisioning/dashboards/files.yaml")).providers[0];
  const [source] = parse(read("grafana/provisioning/datasources/prometheus.yaml")).datasources;
  const { grafana } = parse(read("compose.yaml"), { merge: true }).services;
  assert.ok(grafana.volumes.includes(`./grafana/weir.json:${provider.options.path}/weir.json:ro`));
  assert.ok(read("grafana/weir.json").includes(`"uid": "${source.uid}"`));
  assert.equal(source.url, "http://prometheus:9090");
  assert.deepEqual(prometheus.rule_files, ["/etc/prometheus/prometheus-rules.yaml"]);
  assert.equal(scrape.authorization.credentials_file, "/run/secrets/prometheus_token");
});

function promtool(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(findTool("promtool")!, args, { encoding: "utf8" });
  assert.equal(status, 0, `${stdout}${stderr}`);
  return stdout;
}
