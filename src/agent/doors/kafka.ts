/**
 * The door to Kafka: sessions with a cluster, credentials on disk, the schema registry. The client
 * and its 47 MB are loaded when the first session begins.
 */

import type { Cluster } from "../../sync/kafka/cluster.ts";
import type { ClusterOptions } from "../../sync/kafka/client/cluster-options.ts";
import type { Clock, Wire } from "../../core/doors.ts";
import { type Credentials, type KafkaSecurity, openCredentials } from "./kafka-credentials.ts";
import { registerSchema, type SchemaToRegister } from "./schema-registry.ts";
import { socketsOver } from "./wired-socket.ts";

export interface KafkaDoor {
  /** Over `wire` where there is one. Rejects as `Cluster` does. */
  connect(options: ClusterOptions & { readonly wire?: Wire | undefined }): Promise<Cluster>;
  credentials(security: KafkaSecurity): Credentials;
  /** Resolves to the schema's id. */
  registerSchema(schema: SchemaToRegister): Promise<number>;
}

export function systemKafka(clock: Clock): KafkaDoor {
  return {
    connect: async ({ wire, ...options }) => {
      const { connectCluster } = await import("../../sync/kafka/client/client.ts");
      const over = wire === undefined ? {} : { sockets: socketsOver(wire) };
      return await connectCluster({ ...options, ...over, now: () => clock.now() });
    },
    credentials: (security) => openCredentials(security, clock),
    registerSchema,
  };
}
