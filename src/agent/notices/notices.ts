/**
 * What a person should know although nothing is broken: readings that are refused, topics that no
 * source takes, clients that are turned away, damage that was survived. Each is one sentence with
 * its count, made from the status; a code names its kind, for a journal that says it once.
 */

import { accessNotices } from "./access-notices.ts";
import { limits } from "../../core/limits.ts";
import { type Config, sourceDefaults } from "../config/config.ts";
import { durationText } from "../config/quantity.ts";
import { brokerNotices } from "./broker-notices.ts";
import { certificateNotices, listenerNotices, tokenNotices } from "./door-notices.ts";
import { ceilingText, memoryNotices } from "./memory-notices.ts";
import { linkNotices, savepointNotices } from "./link-notices.ts";
import type { Notice } from "./notice.ts";
import type { Quarantined } from "../quarantined.ts";
import { rawNotices } from "./raw-notices.ts";
import { remoteNotices } from "../remote/remote-notices.ts";
import type { Status } from "../status.ts";
import { flashNotices, reserveNotices, tableNotices } from "./table-notices.ts";
import { counted } from "../../core/counted.ts";

export function noticesOf(
  status: Pick<
    Status,
    | "log"
    | "tables"
    | "reserve"
    | "flash"
    | "intake"
    | "cardinality"
    | "mqtt"
    | "certificates"
    | "http"
    | "brokers"
    | "ownTopics"
    | "outbox"
    | "outboxDropped"
    | "uplinks"
    | "links"
    | "savepoints"
    | "raw"
    | "memory"
    | "remote"
    | "clock"
  >,
  {
    config,
    unwantedTopic,
    quarantined,
  }: {
    readonly config: Config;
    readonly unwantedTopic: string | undefined;
    readonly quarantined: Quarantined | undefined;
  },
): readonly Notice[] {
  const notices: Notice[] = [];
  const add = (code: string, count: number, message: () => string): void => {
    if (count > 0) notices.push({ code, message: message() });
  };
  const { damage } = status.log;
  add(
    "log_damaged",
    damage.places.length,
    () =>
      `the log was damaged: at most ${counted(damage.lostRows, "reading")} may be lost (${damage.places[0] ?? ""})`,
  );
  notices.push(...tableNotices(status.tables), ...reserveNotices(status.reserve));
  notices.push(...flashNotices(status.flash), ...memoryNotices(status.memory));
  const { rejected, unwanted, own } = status.intake;
  add(
    "readings_rejected",
    rejected,
    () => `${counted(rejected, "reading")} refused since the start: ${fullTable(status, config)}`,
  );
  if (quarantined !== undefined) {
    notices.push({ code: "readings_quarantined", message: quarantineText(quarantined, config) });
  }
  add(
    "topics_unwanted",
    unwanted,
    () =>
      `${counted(unwanted, "message")} since the start went to topics that no source takes, the last to ${JSON.stringify(unwantedTopic)}: compare sources[].topics`,
  );
  add(
    "own_topics_returned",
    own,
    () =>
      "messages came back on topics that this agent publishes itself, and were not read: some bridge brings them",
  );
  for (const certificate of status.certificates) {
    notices.push(...certificateNotices(certificate, status.clock.now));
  }
  notices.push(...tokenNotices(status.http, status.clock.now));
  for (const listener of status.mqtt.listeners) notices.push(...listenerNotices(listener));
  for (const broker of status.brokers) notices.push(...brokerNotices(broker, status.clock.now));
  for (const { name, lanes } of status.uplinks) {
    for (const [lane, { trouble, incidents, facts, waitsForBackfill }] of Object.entries(lanes)) {
      const unheard = Number(facts["unheard"] ?? 0);
      add(
        `uplink_unheard_${name}`,
        unheard,
        () =>
          `uplink ${name}: the broker dropped ${counted(unheard, "message")}, because nobody is subscribed there: subscribe with a session that it keeps`,
      );
      add(
        `uplink_status_refused_${name}`,
        Number(facts["statusRefused"] ?? 0),
        () =>
          `uplink ${name}: the broker refuses the status of this agent: let its user publish on topics.status, or set status: off`,
      );
      add(
        `uplink_incident_${name}_${lane}`,
        incidents.count,
        () => `uplink ${name}, ${lane}: ${incidents.last?.what ?? ""}`,
      );
      add(
        `uplink_waits_${name}`,
        waitsForBackfill ? 1 : 0,
        () =>
          `uplink ${name}: summaries wait until some of what is behind is sent: they correct it, and it is in too many pieces; nothing is lost`,
      );
      add(
        `uplink_trouble_${name}_${lane}`,
        trouble === undefined ? 0 : 1,
        () => `uplink ${name}, ${lane}: ${trouble}`,
      );
    }
  }
  notices.push(
    ...linkNotices(status),
    ...savepointNotices(status),
    ...rawNotices(status.raw),
    ...remoteNotices(status.remote),
  );
  const merged = Object.values(status.outbox).reduce((sum, lane) => sum + lane.merged, 0);
  add(
    "outbox_merged",
    merged,
    () =>
      `the outbox was filling up: coarser summaries wait in it for the uplinks, ${merged} fewer; no reading is missing in them, and what comes now is sent as it is`,
  );
  const dropped = Object.values(status.outboxDropped);
  const records = dropped.reduce((sum, each) => sum + each.records, 0);
  const readings = dropped.reduce((sum, each) => sum + each.readings, 0);
  add(
    "outbox_dropped",
    records,
    () =>
      `the outbox was full: ${counted(records, "record")} with ${counted(readings, "reading")} dropped unsent since the beginning, and gap records tell the uplinks; the readings themselves are kept here as store.keep says`,
  );
  const unpublished = status.ownTopics.dropped;
  add(
    "own_topics_dropped",
    unpublished,
    () =>
      `${unpublished} summaries and alerts were not published to local MQTT clients since the start: they came faster than the clients read; whoever needs each one needs an uplink`,
  );
  add(
    "home_assistant_full",
    status.ownTopics.homeAssistant?.refused ?? 0,
    () =>
      `Home Assistant is told of ${limits.homeAssistantEntitiesMax} entities at most, and further keys have results: name the pipelines it is to find in mqtt.publish.homeAssistant.pipelines`,
  );
  notices.push(...accessNotices(status.mqtt));
  const { counters } = status.mqtt;
  if (counters === undefined) return notices;
  const { loginsRefused, protocolErrors } = counters;
  add("logins_refused", loginsRefused, () => `${loginsRefused} logins were refused`);
  const { packet_too_large: large, protocol_unsupported: unsupported } = protocolErrors;
  add(
    "packets_too_large",
    large,
    () =>
      `${large} packets were larger than ${config.mqtt.quotas?.front.packetBytesMax ?? limits.packetBytesMax} bytes: their senders were disconnected`,
  );
  add(
    "protocol_unsupported",
    unsupported,
    () =>
      `${unsupported} clients asked for a protocol other than MQTT 3.1, 3.1.1 or 5, which is all this version speaks`,
  );
  return notices;
}

/** How far ahead is too far, and whose clock may be wrong. */
function quarantineText({ readings, source }: Quarantined, { sources }: Config): string {
  const { futureMs } = sources.find(({ name }) => name === source) ?? sourceDefaults;
  return `${counted(readings, "reading")} since the start put into quarantine, most of source ${source}: its devices are more than ${durationText(futureMs)} (sources[].future) ahead of the clock here: set the clock or the zone of the devices, or the clock here; these readings are in no result and not stored`;
}

/** Which bound it is, as far as it can be told. */
function fullTable(
  { cardinality, memory: { ceiling } }: Pick<Status, "cardinality" | "memory">,
  config: Config,
): string {
  if (ceiling !== undefined && cardinality.series >= ceiling.seriesMax) {
    return `${ceilingText(ceiling)} has room for ${ceiling.seriesMax} series`;
  }
  if (cardinality.series >= config.seriesMax) return `limits.series is ${config.seriesMax}`;
  if (cardinality.devices >= config.devicesMax) return `limits.devices is ${config.devicesMax}`;
  if (cardinality.symbols >= limits.symbolsMax) return `${limits.symbolsMax} texts are known`;
  return `a text longer than ${limits.symbolBytesMax} bytes, or a device with more than ${limits.metricsPerDeviceMax} metrics`;
}
