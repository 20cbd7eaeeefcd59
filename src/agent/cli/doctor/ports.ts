/** The ports that the agent listens on: are they free, who has them, who can reach them? */

import type { ListenAddress } from "../../../core/doors.ts";
import { Fault } from "../../../core/faults.ts";
import { isLoopback } from "../../../core/loopback.ts";
import type { Config } from "../../config/config.ts";
import { listenersOf } from "../../config/listener-config.ts";
import { systemNet } from "../../doors/net.ts";
import { advice, fault, type Finding, ok } from "./finding.ts";
import type { Machine } from "./machine.ts";
import { type Holder, holderOfPort, holderText } from "./sockets.ts";

const area = "ports";

export type PortOptions = {
  readonly machine: Machine;
  readonly config: Config;
  /** The agent, where it runs. */
  readonly agent: Holder | undefined;
};

type Port = {
  /** "mqtt", "http": the section of the configuration. */
  readonly section: string;
  readonly address: ListenAddress;
};

export async function portFindings(options: PortOptions): Promise<readonly Finding[]> {
  const { mqtt, http } = options.config;
  const ports: readonly Port[] = [
    ...listenersOf(mqtt).map((address) => ({ section: "mqtt", address })),
    ...(http === undefined ? [] : [{ section: "http", address: http }]),
  ];
  const findings: Finding[] = [];
  for (const port of ports) findings.push(await portFinding(port, options));
  return findings;
}

async function portFinding(
  { section, address }: Port,
  { machine, agent }: PortOptions,
): Promise<Finding> {
  const { host, port, tls } = address;
  const about = { area, place: `${section} ${host}:${port}` };
  const holder = port === 0 ? undefined : await holderOfPort(machine, address);
  if (holder !== undefined && (agent === undefined || !isSame(holder, agent))) {
    const remedy = `stop it, or set another port for ${section}`;
    return fault(about, `${holderText(holder)} listens there already`, remedy);
  }
  const refusal = holder === undefined ? await refusalOf(address) : undefined;
  if (refusal !== undefined) return fault(about, refusal, `see ${section} in the configuration`);
  const held = holder === undefined ? "free" : "the agent listens";
  if (agent !== undefined && holder === undefined) {
    return fault(
      about,
      "the agent runs and does not listen there",
      "see weir status: it waits for its disk, or runs with another configuration (then start it again)",
    );
  }
  if (isLoopback(host)) return ok(about, `${held}; this machine alone reaches it`);
  if (tls !== undefined) return ok(about, `${held}; open to the network, with TLS`);
  return advice(
    about,
    `${held}; open to the network without TLS: ${section === "http" ? "tokens" : "passwords"} and readings cross it as they are`,
    "add tls, or listen on 127.0.0.1 (docs/security.md)",
  );
}

/** One that cannot be looked at is taken for the agent, where that cannot be looked at either. */
function isSame(holder: Holder, agent: Holder): boolean {
  return holder.pid === agent.pid;
}

/** Why it could not be listened on: it is tried, for a moment. TLS is not what may be in the way. */
async function refusalOf({ host, port }: ListenAddress): Promise<string | undefined> {
  try {
    const listener = await systemNet().listen({ host, port }, (socket) => socket.destroy());
    await listener.close();
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error.message;
    throw error;
  }
}
