/**
 * What `weir check` prints: the effective configuration in words, with what follows from it: panes
 * and bytes per key, and the memory that the limits allow. Passwords are never in it.
 */

import { unreachable } from "../../core/assert.ts";
import type { PipelineSpec, WhereSpec, WindowSpec } from "../../edge-ops/spec.ts";
import type { BrokerConfig } from "../ingest/mqtt/subscriber/subscriber-config.ts";
import { discoveryFilter } from "../home-assistant/discovery.ts";
import { ownTopic } from "../own-topics/local-broker.ts";
import type { RightsConfig } from "../ingest/mqtt/access/access.ts";
import { memoryPlanOf } from "../memory/memory-plan.ts";
import type { Config, MqttConfig, UplinkConfig } from "./config.ts";
import type { ListenAddress } from "../../core/doors.ts";
import type { HttpConfig } from "./http-config.ts";
import { linkRows } from "./link-explain.ts";
import type { RemoteConfig } from "./remote-config.ts";
import { listenersOf } from "./listener-config.ts";
import { bytesText, durationText, roughBytesText } from "./quantity.ts";
import { duplicateBytesPerSeries, estimatePipeline } from "./state-estimate.ts";
import { storeRows } from "./store-explain.ts";

/** Node, the code and its buffers, before any state. */
const BASE_BYTES = 75 * 1_048_576;

/** Lines for people, without a trailing newline. */
export function explain(config: Config): string {
  return [
    part(`agent ${config.agent}`, agentRows(config)),
    ...config.brokers.map((broker) => part(`broker ${broker.name}`, brokerRows(broker, config))),
    ...config.sources.map((source) => part(`source ${source.name}`, sourceRows(source))),
    ...config.pipelines.map((spec) =>
      part(`pipeline ${spec.name} (${spec.kind})`, pipelineRows(spec, config)),
    ),
    ...config.links.map((link) => part(`link ${link.name}`, linkRows(link, config))),
    ...(config.remote === undefined ? [] : [part("remote", remoteRows(config.remote))]),
    part("store", storeRows(config)),
    part("memory", memoryRows(config)),
  ].join("\n\n");
}

function remoteRows({ keys, mqtt, kafka, allow, watchMs, triesMax }: RemoteConfig): Row[] {
  return [
    ["may set", allow.join(", ")],
    ["signed by", keys.map(({ name }) => name).join(", ")],
    ...(mqtt === undefined ? [] : [["from", `${mqtt.topic} at broker ${mqtt.broker}`] as const]),
    ...(kafka === undefined ? [] : [["from", `${kafka.topic} in Kafka`] as const]),
    [
      "stays",
      `when it has run well for ${durationText(watchMs)}; rolled back after ${triesMax} starts that end before`,
    ],
  ];
}

type Row = readonly [name: string, value: string];

function part(title: string, rows: readonly Row[]): string {
  return [title, ...rows.map(([name, value]) => `  ${name.padEnd(13)}${value}`)].join("\n");
}

function agentRows(config: Config): Row[] {
  const { mqtt, http, commit } = config;
  const users = mqtt.users.flatMap(({ name }) => (name === "*" ? [] : [name])).join(", ");
  const who = [
    ...(users === "" ? [] : [`users ${users}`]),
    ...(mqtt.usersFile === undefined ? [] : [`users of ${mqtt.usersFile}`]),
    mqtt.anonymous ? "anonymous clients allowed" : "no anonymous clients",
  ].join("; ");
  const wait =
    commit.waitMs === 0
      ? "synced at once"
      : `synced after at most ${durationText(commit.waitMs)} or ${commit.rowsEager} readings`;
  return [
    ["data", `${config.dataDirectory}, log at most ${bytesText(config.logBytesMax)}`],
    ...listenersOf(mqtt).map((address): Row => ["mqtt", listenerText(address)]),
    ["clients", who],
    ["own topics", ownTopicsText(config)],
    ...rightsTexts(mqtt).map((text): Row => ["rights", text]),
    ["http", http === undefined ? "off" : httpText(http)],
    ["readings", `${wait}, acknowledged after that`],
    [
      "results",
      `alerts committed at once, summaries every ${durationText(commit.intervalMs)}, checkpoint every ${durationText(commit.checkpointMs)}`,
    ],
    ...config.uplinks.map((uplink): Row => ["uplink", `${uplinkText(uplink)}${viaText(uplink)}`]),
    ...(config.uplinks.length === 0 ? [["uplink", "none"] as const] : []),
  ];
}

function ownTopicsText({ agent, ownTopics }: Config): string {
  const { summaries, alerts, statusMs, homeAssistant } = ownTopics;
  const topic = (rest: string): string => ownTopic(agent, rest);
  const shown = [
    ...(summaries ? [topic("summary/...")] : []),
    ...(alerts ? [topic("alert/...")] : []),
    ...(statusMs === undefined
      ? []
      : [`${topic("status")} every ${durationText(statusMs)}, retained`]),
    ...(homeAssistant === undefined
      ? []
      : [
          `${topic("state/...")} and ${discoveryFilter(agent, homeAssistant.prefix)} for Home Assistant, retained`,
        ]),
  ];
  return shown.length === 0 ? "none" : shown.join("  ");
}

/** Who may not do everything. */
function rightsTexts({ users, certificates = [], anonymousRights = {} }: MqttConfig): string[] {
  const holders: (RightsConfig & { readonly who: string })[] = [
    ...users.map((user) => ({ ...user, who: user.name })),
    ...certificates.map((one) => ({ ...one, who: `certificate ${one.name}` })),
    { ...anonymousRights, who: "anonymous" },
  ];
  return holders.flatMap(({ who, publish, subscribe }) => {
    const parts = [
      ...(publish === undefined ? [] : [`publishes ${publish.join(", ") || "nothing"}`]),
      ...(subscribe === undefined ? [] : [`subscribes to ${subscribe.join(", ") || "nothing"}`]),
    ];
    return parts.length === 0 ? [] : [`${who} ${parts.join("; ")}`];
  });
}

function httpText({ host, port, tls, tokens = [] }: HttpConfig): string {
  const who = tokens.map(({ name, role }) => `${name} (${role})`).join(", ");
  return `${host}:${port}${tls === undefined ? "" : ", TLS"}${who === "" ? "" : `; tokens ${who}`}`;
}

function listenerText({ host, port, tls, webSocket }: ListenAddress): string {
  const certificates =
    tls === undefined || tls.clientCertificate === "none"
      ? ""
      : `, client certificates ${tls.clientCertificate}${tls.crlFile === undefined ? "" : " and looked up in crl"}`;
  const path = webSocket === undefined ? "" : `, WebSocket at ${webSocket.path}`;
  return `${host}:${port}${tls === undefined ? "" : ", TLS"}${certificates}${path}`;
}

function viaText(uplink: UplinkConfig): string {
  const { via = [] } = uplink.kind === "file" ? {} : uplink;
  return via.length === 0 ? "" : `; over ${via.join(", then ")}`;
}

function uplinkText(uplink: UplinkConfig): string {
  if (uplink.kind === "file") {
    const { directory, rotateBytes, rotateMs } = uplink;
    return `files in ${directory}, a new one at ${bytesText(rotateBytes)} or after ${durationText(rotateMs)}`;
  }
  if (uplink.kind === "mqtt") {
    const { url, clientId, address, user, level, topics: to, lingerMs: waitMs } = uplink;
    const { tls } = address;
    const secured = `${tls === undefined ? "no TLS" : `TLS${tls.certificateFile === undefined ? "" : " with a certificate of its own"}`}, ${user === undefined ? "no login" : `login as ${user}`}`;
    return `MQTT ${level === 5 ? "5" : "3.1.1"} at ${url} as ${clientId}, ${secured}, at least once: ${to.summaries} and ${to.alerts}; summaries wait ${durationText(waitMs)} for others`;
  }
  if (uplink.kind === "http") {
    const { url, address, login, format, compress, lingerMs: waitMs } = uplink;
    const { tls } = address;
    const secured =
      tls === undefined
        ? "no TLS"
        : `TLS${tls.certificateFile === undefined ? "" : " with a certificate of its own"}`;
    const as =
      login === undefined
        ? "no login"
        : login.kind === "basic"
          ? `login as ${login.user}`
          : "login by token";
    return `POST to ${url}, ${secured}, ${as}, at least once: ${format}${compress === "gzip" ? ", gzip" : ""}; summaries wait ${durationText(waitMs)} for others`;
  }
  const { brokers, delivery, format, compression, topics, lingerMs, security } = uplink;
  const { tls, sasl } = security;
  const login = sasl === undefined ? "no login" : `login by ${sasl.mechanism}`;
  const own = tls?.certificate === undefined ? "" : " with a certificate of its own";
  const link = `${tls === undefined ? "no TLS" : `TLS${own}`}, ${login}`;
  const promise = delivery === "transactional" ? "exactly once" : "at least once, by key";
  const { savepoints, commands } = uplink;
  const saved =
    savepoints === undefined
      ? ""
      : `; a savepoint in ${savepoints.topic} at the first checkpoint after ${durationText(savepoints.everyMs)}`;
  return `Kafka at ${brokers.join(", ")}, ${link}, ${promise}: ${topics.summaries} and ${topics.alerts}, cursors in ${topics.cursor}${topics.create ? ", created where missing" : ""}, ${format}, ${compression}; summaries wait ${durationText(lingerMs)} for others${saved}${commands === undefined ? "" : `; commands from ${commands.topic}`}`;
}

function brokerRows(broker: BrokerConfig, { duplicateRing }: Pick<Config, "duplicateRing">): Row[] {
  const { addresses, level, clientId, sessionMs, user, keepAliveMs, answerMs, qos } = broker;
  const login = user === undefined ? "no login" : `user ${user}`;
  const group = broker.share === undefined ? "" : `, shared by the group ${broker.share}`;
  const window = level === 5 ? `, at most ${broker.receiveMax} unacknowledged` : "";
  const { canary } = broker;
  return [
    ["at", addresses.map(({ url }) => url).join("  then  ")],
    ["speaks", `MQTT ${level === 5 ? "5" : "3.1.1"}, client id ${clientId}, ${login}`],
    [
      "session",
      sessionMs === undefined
        ? "none: begins anew each time"
        : `kept for ${durationText(sessionMs)}`,
    ],
    ["messages", `QoS ${qos}${group}${window}`],
    ["sent again", resendsText(broker, duplicateRing)],
    [
      "noticed dead",
      `after ${durationText(keepAliveMs)} of silence and ${durationText(answerMs)} without an answer`,
    ],
    ...(canary === undefined
      ? []
      : [["canary", `every ${durationText(canary.everyMs)}, to ${canary.topic}`] as const]),
  ];
}

/** After a crash of either side a broker sends again all that it had under way. */
function resendsText({ level, qos, receiveMax }: BrokerConfig, duplicateRing: number): string {
  if (qos === 0) return "never";
  const told = `recognised among the last ${duplicateRing} readings of a series`;
  if (level === 5 && receiveMax <= duplicateRing) return told;
  return `${told} (limits.duplicateRing): what one series has under way beyond that may be counted twice after a crash`;
}

function sourceRows(source: Config["sources"][number]): Row[] {
  const fields = source.time.join(", ");
  const time = source.timeRequired
    ? `field ${fields}; messages without it are refused`
    : `field ${fields}; else time of arrival`;
  return [
    ...(source.broker === undefined ? [] : [["broker", source.broker] as const]),
    ["topics", source.topics.join("  ")],
    ["format", source.format],
    ["time", source.time.length === 0 ? "time of arrival" : time],
    ["timezone", source.timezone ?? "times without a zone are refused"],
    ["sequence", source.sequence.length === 0 ? "none" : `field ${source.sequence.join(", ")}`],
    ...(source.ignore.length === 0 ? [] : [["ignored", source.ignore.join(", ")] as const]),
    ["in order", `up to ${durationText(source.disorderMs)} behind a device's newest reading`],
    ["idle", `after ${durationText(source.idleMs)} of silence`],
    ["quarantine", `more than ${durationText(source.futureMs)} ahead of the gateway's clock`],
  ];
}

function pipelineRows(spec: PipelineSpec, config: Config): Row[] {
  const { panes, bytesPerKey, keysMax, bytesMax } = estimatePipeline(spec, config);
  const rows: Row[] = [["takes", whereText(spec.where)]];
  if (spec.kind !== "ewma") rows.push(["key", spec.key.length === 0 ? "one" : spec.key.join(", ")]);
  rows.push(...computationRows(spec));
  const around = config.rawAround?.[spec.name];
  if (around !== undefined) {
    const [before, after] = [durationText(around.beforeMs), durationText(around.afterMs)];
    rows.push([
      "raw",
      `an alert sends the device's readings from ${before} before to ${after} after it`,
    ]);
  }
  if (panes !== undefined) {
    rows.push(["panes", `${panes.ring} of ${durationText(panes.paneMs)} per key`]);
  }
  const each = spec.kind === "ewma" ? "series" : "key";
  const isShared = spec.kind === "window" && bytesMax < 0.9 * bytesPerKey * keysMax;
  const total = `${roughBytesText(bytesMax)} at the limits${isShared ? ", where sketches share their room" : ""}`;
  const perKey = `${bytesPerKey} B per ${each}, ${total} (${keysMax} ${each === "key" ? "keys" : "series"})`;
  rows.push(["state", bytesPerKey === 0 ? total : perKey]);
  return rows;
}

function computationRows(spec: PipelineSpec): Row[] {
  switch (spec.kind) {
    case "window":
      return [
        ["window", windowText(spec.window)],
        ["aggregates", spec.aggregate.join(", ")],
        ["corrections", `for ${durationText(spec.allowedLatenessMs)} after a window's end`],
      ];
    case "ewma":
      return [
        ["chart", `lambda ${spec.lambda}, limits at ${spec.sigmas} sigmas`],
        ["baseline", `${spec.warmup} readings, then weight ${spec.baseline}`],
        ["sigma", `at least ${spec.sigmaMin}`],
        ["next alert", `after ${spec.rearm} readings inside the limits`],
      ];
    case "frequency":
      return [
        ["heavy", spec.heavyShare === 0 ? "off" : `from ${spec.heavyShare * 100} % of the period`],
        ["rare", spec.rareCount === 0 ? "off" : `up to ${spec.rareCount} in the period`],
        ["period", `${durationText(spec.periodMs)}, no alert before ${spec.minimum} readings`],
        ["sketch", `${spec.depth} x ${spec.width} counters`],
      ];
    default:
      return unreachable(spec);
  }
}

function windowText(window: WindowSpec): string {
  switch (window.kind) {
    case "tumbling":
      return `tumbling, ${durationText(window.sizeMs)}`;
    case "sliding":
      return `sliding, ${durationText(window.sizeMs)} every ${durationText(window.slideMs)}`;
    case "session":
      return `session, ended by ${durationText(window.gapMs)} of silence or after ${durationText(window.maxMs)}`;
    default:
      return unreachable(window);
  }
}

function whereText({ sources, metrics, tags }: WhereSpec): string {
  const conditions = [
    ...(sources.length === 0 ? [] : [`sources ${sources.join(", ")}`]),
    ...(metrics.length === 0 ? [] : [`metrics ${metrics.join(", ")}`]),
    ...Object.entries(tags).map(([name, glob]) => `${name}=${glob}`),
  ];
  return conditions.length === 0 ? "every reading" : conditions.join("; ");
}

function ceilingText({ memory = "auto" }: Config): string {
  if (memory === "off") return "none";
  if (memory === "auto") return "that of the control group it runs in, if there is one";
  const { seriesMax, tableRowsMax, front } = memoryPlanOf({ bytes: memory, from: "" });
  return `${bytesText(memory)}: new series up to ${seriesMax}, MQTT connections up to ${front.connectionsMax}, ${tableRowsMax} readings in memory`;
}

/** Resident memory before any reading, and with all that the limits allow. */
export function memoryEstimate(config: Config): {
  readonly idleBytes: number;
  readonly limitBytes: number;
} {
  const rings = duplicateBytesPerSeries(config) * config.seriesMax;
  return { idleBytes: BASE_BYTES, limitBytes: BASE_BYTES + rings + pipelineBytes(config) };
}

function pipelineBytes(config: Config): number {
  return config.pipelines.reduce(
    (bytes, spec) => bytes + estimatePipeline(spec, config).bytesMax,
    0,
  );
}

function memoryRows(config: Config): Row[] {
  const ring = duplicateBytesPerSeries(config);
  const { idleBytes, limitBytes } = memoryEstimate(config);
  return [
    ["ceiling", ceilingText(config)],
    [
      "limits",
      `${config.seriesMax} series, ${config.devicesMax} devices, ${config.keysMax} keys per pipeline`,
    ],
    ["resent", `${ring} B per series, ${roughBytesText(ring * config.seriesMax)} at the limits`],
    ["pipelines", `${roughBytesText(pipelineBytes(config))} at the limits`],
    ["estimate", `${roughBytesText(idleBytes)} idle, ${roughBytesText(limitBytes)} at the limits;`],
    ["", "pages of the one file that the system drops when memory is short not counted"],
  ];
}
