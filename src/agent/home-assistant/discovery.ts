/**
 * What Home Assistant reads: one retained message for each device, with all its entities
 * (docs/home-assistant.md). The fields are those of its MQTT documentation: device discovery, sensor and
 * binary sensor. Names of devices and tags stand in JSON strings only; topics and templates are made of
 * what is encoded or fixed, so nothing that a sensor is called can become a part of either.
 */

import { limits } from "../../core/limits.ts";
import type { PipelineSpec } from "../../edge-ops/spec.ts";
import { ownTopic } from "../own-topics/local-broker.ts";
import { type DeviceName, plainName, type Subject, stateTopic } from "./subject.ts";
import { measureOf, unitOf } from "./units.ts";

export type Platform = "sensor" | "binary_sensor";

/** An entity; of one that is gone Home Assistant wants the platform alone. */
export type Component = {
  readonly platform: Platform;
  readonly [field: string]: unknown;
};

/** By the id that a component has within its device. */
export type Components = Readonly<Record<string, Component>>;

/** Who speaks. */
export type Teller = {
  readonly agent: string;
  readonly version: string;
  /** Home Assistant's discovery prefix. */
  readonly prefix: string;
  /** Metric to unit. */
  readonly units: Readonly<Record<string, string>>;
};

/** The retained topic of a device: the gateway's, whose entities include its own, among them. */
export function discoveryTopic({ agent, prefix }: Teller, deviceId: string): string {
  return `${prefix}/device/${nodeOf(agent)}/${deviceId}/config`;
}

/** A filter of all discovery topics of this agent. */
export function discoveryFilter(agent: string, prefix: string): string {
  return `${prefix}/device/${nodeOf(agent)}/+/config`;
}

export function platformOf(kind: Subject["kind"]): Platform {
  return kind === "summary" ? "sensor" : "binary_sensor";
}

export function componentId(subjectId: string, field: string): string {
  return `${subjectId}_${field}`;
}

/** Entities of a subject; `fields` as fieldsOf gives them. */
export function componentsOf(
  teller: Teller,
  { subject, spec, fields }: { subject: Subject; spec: PipelineSpec; fields: readonly string[] },
): Components {
  const { agent, units } = teller;
  const topic = stateTopic(agent, subject);
  const metric = metricOf(subject, spec);
  const unit = metric === undefined ? undefined : unitOf(metric, units);
  return Object.fromEntries(
    fields.map((field) => {
      const id = componentId(subject.id, field);
      const common = {
        unique_id: `${nodeOf(agent)}_${id}`,
        name: nameOf(subject, metric, field),
        state_topic: topic,
      };
      const component: Component =
        subject.kind === "summary"
          ? {
              platform: "sensor",
              ...common,
              value_template: `{{ value_json.${field} }}`,
              ...measureOf(field, unit),
            }
          : {
              platform: "binary_sensor",
              ...common,
              value_template: "{{ value_json.state }}",
              device_class: "problem",
              json_attributes_topic: topic,
            };
      return [id, component];
    }),
  );
}

/** What the gateway says of itself, from its status. */
export function gatewayComponents({ agent }: Teller): Components {
  const own = (field: string, rest: Component): readonly [string, Component] => [
    `gateway_${field}`,
    {
      ...rest,
      unique_id: `${nodeOf(agent)}_gateway_${field}`,
      state_topic: ownTopic(agent, "status"),
      entity_category: "diagnostic",
    },
  ];
  return Object.fromEntries([
    own("state", {
      platform: "sensor",
      name: "State",
      device_class: "enum",
      options: ["running", "degraded", "stopping", "failed", "offline"],
      value_template: "{{ value_json.state }}",
    }),
    own("problem", {
      platform: "binary_sensor",
      name: "Problem",
      device_class: "problem",
      value_template: "{{ 'OFF' if value_json.state == 'running' else 'ON' }}",
    }),
    own("waiting", {
      platform: "sensor",
      name: "Waiting records",
      state_class: "measurement",
      value_template: "{{ value_json.waiting.records }}",
    }),
  ]);
}

/** The message of a device, as JSON. */
export function devicePayload(
  { agent, version }: Teller,
  device: DeviceName,
  components: Components,
): object {
  const gateway = nodeOf(agent);
  return {
    device:
      device.id === "gateway"
        ? { identifiers: [gateway], name: agent, model: "weir gateway", sw_version: version }
        : { identifiers: [`${gateway}_${device.id}`], name: device.name, via_device: gateway },
    origin: { name: "weir", sw_version: version },
    availability: [
      {
        topic: ownTopic(agent, "status"),
        value_template: "{{ 'online' if value_json.online else 'offline' }}",
      },
    ],
    components,
  };
}

/** `temperature mean (ten-seconds)`, and the tags that the device's name does not have. */
function nameOf(
  { pipeline, key, device }: Subject,
  metric: string | undefined,
  field: string,
): string {
  const what = metric === undefined ? field : `${metric} ${field}`;
  const others = key.flatMap(([name, value]) =>
    name === "metric" || name === "device" || device.id === "gateway" ? [] : [`${name}=${value}`],
  );
  const isToldByDevice = !key.some(([name]) => name === "device");
  const more = isToldByDevice || others.length === 0 ? "" : `, ${others.join(", ")}`;
  // A pair that is cut is no text that every reader of JSON takes.
  return `${what} (${pipeline}${more})`.slice(0, limits.homeAssistantNameCharsMax).toWellFormed();
}

/** That of the key, or the only one that the pipeline takes. */
function metricOf({ key }: Subject, { where }: PipelineSpec): string | undefined {
  const named = key.find(([name]) => name === "metric")?.[1];
  if (named !== undefined) return named;
  const [only, ...more] = where.metrics;
  return more.length > 0 || only?.includes("*") === true ? undefined : only;
}

function nodeOf(agent: string): string {
  return `weir_${plainName(agent)}`;
}
