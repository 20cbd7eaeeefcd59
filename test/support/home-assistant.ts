/**
 * Home Assistant as an agent meets it, made from what its documentation says of device discovery by MQTT
 * and of the two kinds of entities that weir has: which topics it reads, which fields a message must and
 * may have, and what becomes of entities when the next message comes. Not Home Assistant itself: it keeps
 * states and shows nothing.
 */

import assert from "node:assert/strict";

export type Entity = {
  readonly platform: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly device: Readonly<Record<string, unknown>>;
};

type Fields = Readonly<Record<string, unknown>>;

/** Optional fields of an entity; further ones are not read, so they are mistakes. */
const common = [
  "platform",
  "unique_id",
  "name",
  "state_topic",
  "value_template",
  "device_class",
  "json_attributes_topic",
  "entity_category",
];
const known: Readonly<Record<string, readonly string[]>> = {
  sensor: [...common, "state_class", "unit_of_measurement", "options"],
  binary_sensor: [...common, "payload_on", "payload_off", "off_delay"],
};

/** Of sensors; a class that is not here is one that nobody looked up. */
const unitsOfClass: Readonly<Record<string, readonly string[]>> = {
  current: ["A", "mA"],
  energy: ["J", "kJ", "MJ", "Wh", "kWh", "MWh"],
  frequency: ["Hz", "kHz", "MHz", "GHz"],
  illuminance: ["lx"],
  power: ["mW", "W", "kW", "MW"],
  pressure: ["Pa", "hPa", "kPa", "bar", "cbar", "mbar", "mmHg", "inHg", "psi"],
  temperature: ["°C", "°F", "K"],
  voltage: ["V", "mV", "µV", "kV"],
};

export class HomeAssistantView {
  /** By unique id. */
  readonly entities: Map<string, Entity> = new Map();
  /** Unique ids by discovery topic and component. */
  readonly #found = new Map<string, Map<string, string>>();
  readonly #prefix: string;

  constructor(prefix = "homeassistant") {
    this.#prefix = prefix;
  }

  /** Names by unique id. */
  get names(): readonly string[] {
    return [...this.entities.values()].map(
      ({ device, config }) => `${String(device["name"])}: ${String(config["name"])}`,
    );
  }

  entity(name: string): Entity {
    const found = [...this.entities.values()].find(({ config }) => config["name"] === name);
    assert.ok(found, `${name} is not among ${this.names.join("; ")}`);
    return found;
  }

  /** A message on a topic that it reads. Throws where the message is not as it must be. */
  read(topic: string, payload: string): void {
    assert.ok(topic.startsWith(`${this.#prefix}/`), topic);
    assert.match(
      topic.slice(this.#prefix.length + 1),
      /^device\/([a-zA-Z0-9_-]+\/)?[a-zA-Z0-9_-]+\/config$/,
    );
    const before = this.#found.get(topic) ?? new Map<string, string>();
    if (payload === "") {
      for (const id of before.values()) this.entities.delete(id);
      this.#found.delete(topic);
      return;
    }
    const message = fieldsOf(JSON.parse(payload));
    assert.deepEqual(Object.keys(message).sort(), [
      "availability",
      "components",
      "device",
      "origin",
    ]);
    const device = fieldsOf(message["device"]);
    const identifiers = device["identifiers"];
    assert.ok(Array.isArray(identifiers) && identifiers.length > 0);
    assert.equal(typeof fieldsOf(message["origin"])["name"], "string");
    for (const each of message["availability"] as readonly unknown[]) {
      assertTopic(fieldsOf(each)["topic"]);
    }
    this.#found.set(topic, before);
    for (const [id, component] of Object.entries(fieldsOf(message["components"]))) {
      this.#component(before, { id, device, config: fieldsOf(component) });
    }
  }

  #component(
    found: Map<string, string>,
    { id, device, config }: { id: string; device: Fields; config: Fields },
  ): void {
    const { platform, ...rest } = config;
    assert.ok(platform === "sensor" || platform === "binary_sensor", String(platform));
    // The platform alone takes a component away.
    if (Object.keys(rest).length === 0) {
      const uniqueId = found.get(id);
      if (uniqueId !== undefined) this.entities.delete(uniqueId);
      found.delete(id);
      return;
    }
    for (const field of Object.keys(config)) assert.ok(known[platform]?.includes(field), field);
    assertTopic(config["state_topic"]);
    const { unique_id: uniqueId, device_class: deviceClass } = config;
    assert.ok(typeof uniqueId === "string" && typeof config["name"] === "string");
    assert.ok(isTemplate(config["value_template"]));
    if (platform === "sensor") assertSensor(config);
    else assert.equal(deviceClass, "problem");
    const other = this.entities.get(uniqueId);
    assert.ok(other === undefined || found.get(id) === uniqueId, `${uniqueId} is there already`);
    found.set(id, uniqueId);
    this.entities.set(uniqueId, { platform, config, device });
  }
}

function assertSensor(config: Fields): void {
  const { device_class: deviceClass, unit_of_measurement: unit, state_class: state } = config;
  if (deviceClass === "enum") {
    assert.ok(Array.isArray(config["options"]) && config["options"].length > 0);
    assert.deepEqual([unit, state], [undefined, undefined], "options exclude numbers");
    return;
  }
  assert.equal(config["options"], undefined);
  assert.ok(state === undefined || state === "measurement");
  if (deviceClass === undefined) return;
  assert.ok(typeof deviceClass === "string" && typeof unit === "string");
  assert.ok(unitsOfClass[deviceClass]?.includes(unit), `${deviceClass} in ${unit}`);
  assert.ok(deviceClass !== "energy" || state === undefined, "energy is no measurement");
}

function assertTopic(topic: unknown): void {
  assert.ok(typeof topic === "string" && topic.length > 0 && !/[+#\0]/.test(topic), String(topic));
}

function isTemplate(text: unknown): boolean {
  return typeof text === "string" && /^\{\{ [^{}]+ \}\}$/.test(text);
}

function fieldsOf(value: unknown): Fields {
  assert.ok(typeof value === "object" && value !== null && !Array.isArray(value));
  return value as Fields;
}
