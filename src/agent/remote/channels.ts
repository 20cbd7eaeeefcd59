/** The channels of a `remote` section. Brokers and cluster are those of the local file, whatever comes from afar. */

import { assert } from "../../core/assert.ts";
import type { Clock, Net, Random } from "../../core/doors.ts";
import type { Config } from "../config/config.ts";
import type { Channel } from "./channel.ts";
import { sift } from "./judge.ts";
import type { Offer } from "./remote-status.ts";

export async function openChannels(
  local: Config,
  {
    net,
    clock,
    random,
    offer,
  }: {
    readonly net: Net;
    readonly clock: Clock;
    readonly random: Random;
    readonly offer: (offer: Offer) => void;
  },
): Promise<readonly Channel[]> {
  const { agent, brokers, uplinks, remote } = local;
  const channels: Channel[] = [];
  if (remote?.mqtt !== undefined) {
    const { topic, broker: name } = remote.mqtt;
    const broker = brokers.find((each) => each.name === name);
    assert(broker !== undefined, "a checked broker is there");
    const { openMqttChannel } = await import("./mqtt-channel.ts");
    channels.push(openMqttChannel({ broker, topic, net, clock, random, offer }));
  }
  if (remote?.kafka !== undefined) {
    const { topic, pollMs } = remote.kafka;
    const uplink = uplinks.find((each) => each.kind === "kafka");
    assert(uplink !== undefined, "a checked uplink is there");
    const { openKafkaChannel } = await import("./kafka-channel.ts");
    const kafka = (await import("../doors/kafka.ts")).systemKafka(clock);
    const sifted = (offers: readonly Offer[]): readonly Offer[] => sift(offers, { remote, agent });
    const about = { agent, topic, pollMs, uplink, kafka, clock, random };
    channels.push(openKafkaChannel({ ...about, sift: sifted, offer }));
  }
  return channels;
}
