/**
 * A stock MQTT client that acts as Home Assistant: it subscribes to what Home Assistant subscribes to, says
 * `online` whenever it is connected, and holds every message against its documentation.
 */

import assert from "node:assert/strict";
import { setTimeout as wait } from "node:timers/promises";
import { connect, type MqttClient } from "mqtt";
import { HomeAssistantView } from "./home-assistant.ts";

const filters = ["homeassistant/+/+/config", "homeassistant/+/+/+/config"];

/** Comes again whenever its broker does. */
export class HomeAssistantClient {
  readonly view: HomeAssistantView = new HomeAssistantView();
  readonly states: Map<string, unknown> = new Map();
  /** Topics of discovery, as they came. */
  readonly read: string[] = [];
  /** What was wrong with a message. */
  readonly mistakes: unknown[] = [];
  readonly #client: MqttClient;

  constructor(
    port: number,
    {
      says = false,
      protocolVersion = 4,
    }: { readonly says?: boolean; readonly protocolVersion?: 4 | 5 } = {},
  ) {
    const options = { reconnectPeriod: 100, protocolVersion };
    const client = connect(`mqtt://127.0.0.1:${port}`, options);
    this.#client = client;
    // Between two lives of the agent nobody listens.
    client.on("error", () => undefined);
    client.on("connect", () => {
      client.subscribe(filters, () => {
        if (says) this.online();
      });
    });
    client.on("message", (topic, payload) => this.#take(topic, payload.toString()));
  }

  online(): void {
    this.#client.publish("homeassistant/status", "online");
  }

  async end(): Promise<void> {
    await this.#client.endAsync(true);
  }

  /** State of an entity, by its name. */
  state(name: string): Readonly<Record<string, unknown>> {
    const topic = String(this.view.entity(name).config["state_topic"]);
    return (this.states.get(topic) ?? {}) as Record<string, unknown>;
  }

  #take(topic: string, payload: string): void {
    try {
      if (!topic.startsWith("homeassistant/")) {
        this.states.set(topic, JSON.parse(payload));
        return;
      }
      this.read.push(topic);
      this.view.read(topic, payload);
      const wanted = [...this.view.entities.values()].map(({ config }) =>
        String(config["state_topic"]),
      );
      this.#client.subscribe([...new Set(wanted)]);
    } catch (error) {
      this.mistakes.push(error);
    }
  }
}

/** Waits at most 15 s. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (isSo()) return;
    await wait(50);
  }
  assert.fail(`it did not come to: ${what}`);
}
