/**
 * Brokers and uplinks: can they be reached from here, and do they let us in? By the code that the
 * agent connects with, under client ids of the doctor's own, so that no session of a running agent is
 * taken over. Nothing is sent or made there.
 */

import type { Clock } from "../../../core/doors.ts";
import { Fault, type FaultCode } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { connectMqtt, type MqttClientOptions } from "../../../sync/mqtt/client/mqtt-js.ts";
import type { Config } from "../../config/config.ts";
import type { KafkaUplinkConfig } from "../../config/kafka-config.ts";
import type { PostUplinkConfig } from "../../config/post-config.ts";
import { systemNet } from "../../doors/net.ts";
import { reachEndpoint } from "../../uplinks/endpoint.ts";
import { advice, fault, type Finding, ok } from "./finding.ts";

type Peer = {
  readonly area: string;
  readonly place: string;
  /** What was found there; rejects with a Fault. */
  readonly look: () => Promise<string | Finding>;
};

/**
 * Each has limits.doctorReachMs. Those of one kind at a time: loading the code of another kind takes the
 * processor for so long that an answer would seem late.
 */
export async function reachFindings(config: Config, clock: Clock): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const kind of [brokerPeers, bridgePeers, endpointPeers, clusterPeers]) {
    const peers = kind(config, clock);
    findings.push(...(await Promise.all(peers.map((peer) => reached(peer, clock)))));
  }
  return findings;
}

async function reached({ area, place, look }: Peer, clock: Clock): Promise<Finding> {
  const about = { area, place };
  const began = clock.monotonic();
  const { promise: late, resolve } = Promise.withResolvers<"late">();
  const cancel = clock.after(limits.doctorReachMs, () => resolve("late"));
  const looked = look();
  looked.catch(() => undefined); // whoever is late is not waited for
  try {
    const found = await Promise.race([looked, late]);
    if (found === "late") {
      const said = `it does not answer within ${limits.doctorReachMs / 1_000} s`;
      return fault(about, said, "see the network, and whether it runs");
    }
    if (typeof found !== "string") return found;
    const ms = Math.round(clock.monotonic() - began);
    return ok(about, `${found} (${ms} ms)`, { ms });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return fault(about, error.message, remedyOf(error));
  } finally {
    cancel();
  }
}

function remedyOf({ code }: Fault): string {
  return (
    remedies[code] ??
    "see the address, the network between, and whether it runs; the agent keeps what it has and goes on trying"
  );
}

const remedies: Partial<Readonly<Record<FaultCode, string>>> = {
  UPLINK_LOGIN_REFUSED:
    "correct user, password or certificate; where rights go by client id, let in the one that ends in -doctor as well",
  UPLINK_RIGHT_MISSING: "give the agent's user this right",
  TLS_FILE_UNUSABLE: "see the files of tls in the configuration",
};

// ---- MQTT ----

function brokerPeers({ brokers }: Config, clock: Clock): readonly Peer[] {
  return brokers.flatMap(({ name, addresses, level, clientId, user, password, answerMs }) =>
    addresses.map(({ url, connect: address }) => ({
      area: "brokers",
      place: `${name} ${url}`,
      look: () => lookAtBroker({ url, address, level, clientId, user, password, clock, answerMs }),
    })),
  );
}

async function lookAtBroker({
  answerMs,
  clientId,
  clock,
  ...broker
}: Pick<
  MqttClientOptions,
  "url" | "address" | "level" | "clientId" | "user" | "password" | "clock"
> & { readonly answerMs: number }): Promise<string> {
  const link = await connectMqtt(
    {
      ...broker,
      net: systemNet(),
      clock,
      clientId: `${clientId}-doctor`,
      keepAliveMs: limits.doctorReachMs,
      connectMs: Math.min(answerMs, limits.doctorReachMs),
    },
    { will: undefined, onEnded: () => undefined },
  );
  await link.close();
  return broker.user === undefined ? "it lets us in" : `it lets ${broker.user} in`;
}

// ---- uplinks ----

function bridgePeers({ uplinks }: Config, clock: Clock): readonly Peer[] {
  return uplinks.flatMap((uplink) => {
    if (uplink.kind !== "mqtt") return [];
    const look = () => lookAtBroker({ ...uplink, clock, answerMs: uplink.connectMs });
    return [{ area: "uplinks", place: uplink.url, look }];
  });
}

function endpointPeers({ uplinks }: Config): readonly Peer[] {
  return uplinks.flatMap((uplink) => {
    if (uplink.kind !== "http") return [];
    const look = () => lookAtEndpoint(uplink);
    return [{ area: "uplinks", place: uplink.url, look }];
  });
}

function clusterPeers({ agent, uplinks }: Config, clock: Clock): readonly Peer[] {
  return uplinks.flatMap((uplink) => {
    if (uplink.kind !== "kafka") return [];
    const about = { area: "uplinks", place: `kafka ${uplink.brokers.join(", ")}` };
    return [{ ...about, look: () => lookAtCluster(about, { agent, uplink, clock }) }];
  });
}

async function lookAtEndpoint(uplink: PostUplinkConfig): Promise<string> {
  await reachEndpoint(uplink, { net: systemNet(), waitMs: limits.doctorReachMs });
  return uplink.address.tls === undefined ? "it takes connections" : "it takes connections, TLS";
}

async function lookAtCluster(
  about: Pick<Finding, "area" | "place">,
  {
    agent,
    uplink,
    clock,
  }: { readonly agent: string; readonly uplink: KafkaUplinkConfig; readonly clock: Clock },
): Promise<string | Finding> {
  const { brokers, addresses, connectMs, requestMs, security, topics } = uplink;
  const kafka = (await import("../../doors/kafka.ts")).systemKafka(clock);
  const cluster = await kafka.connect({
    bootstrap: brokers,
    ...(addresses === undefined ? {} : { addresses }),
    clientId: `weir-${agent}-doctor`,
    requestTimeoutMs: Math.min(requestMs, limits.doctorReachMs),
    connectTimeoutMs: Math.min(connectMs, limits.doctorReachMs),
    ...(await kafka.credentials(security).read()),
  });
  try {
    const wanted = [topics.summaries, topics.alerts, topics.cursor];
    const own = [uplink.commands?.topic, uplink.savepoints?.topic];
    const all = [...wanted, ...own.filter((topic) => topic !== undefined)];
    const there = await cluster.partitionsOf(all);
    const missing = all.filter((topic) => !there.has(topic));
    if (missing.length === 0) return `cluster ${cluster.id} has all ${all.length} topics`;
    const said = `cluster ${cluster.id} has no topic ${missing.join(", ")}`;
    const made = missing.filter((topic) => wanted.includes(topic));
    if (topics.create && made.length === missing.length) return `${said}: the agent makes them`;
    return advice(about, said, "create them with Kafka's own tools, or set topics.create: true");
  } finally {
    await cluster.close();
  }
}
