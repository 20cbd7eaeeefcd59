/**
 * What tests ask of a cluster beside the uplink: topics, groups and rights. Spoken by
 * @platformatic/kafka, whose protocol functions the uplink stands on too; what tests *read* comes
 * from other clients (kcat.ts, java-consumer.ts).
 */

import { setTimeout as wait } from "node:timers/promises";
import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  ResourcePatternTypes,
  ResourceTypes,
} from "@platformatic/kafka";

/** A right given to a principal such as "User:alice"; topics by name, or by prefix. */
export type Right = {
  readonly principal: string;
  readonly operation: keyof typeof AclOperations;
  readonly resourceType: "TOPIC" | "GROUP" | "TRANSACTIONAL_ID" | "CLUSTER";
  /** "kafka-cluster" for CLUSTER. */
  readonly name: string;
  readonly pattern?: "LITERAL" | "PREFIXED";
};

export type TopicOptions = {
  readonly partitions?: number;
  readonly config?: Readonly<Record<string, string>>;
};

const waitMsMax = 10_000;

/** Whether the cluster behind this address knows a live broker. */
export async function isReady(bootstrap: string): Promise<boolean> {
  try {
    return await withAdmin(
      bootstrap,
      async (admin) => {
        const { brokers } = await admin.metadata({ topics: [] });
        return brokers.size > 0;
      },
      { retries: 0 },
    );
  } catch {
    return false;
  }
}

/** Resolves when the broker answers for every partition of the topic. */
export async function createTopic(
  bootstrap: string,
  name: string,
  { partitions = 1, config = {} }: TopicOptions = {},
): Promise<void> {
  const configs = Object.entries(config).map(([key, value]) => ({ name: key, value }));
  await withAdmin(bootstrap, async (admin) => {
    await admin.createTopics({ topics: [name], partitions, replicas: 1, configs });
    await until(`${name} exists`, async () => (await partitionsOf(admin, name)) === partitions);
  });
}

/** Resolves when the broker no longer knows the topic. */
export async function deleteTopic(bootstrap: string, name: string): Promise<void> {
  await withAdmin(bootstrap, (admin) => admin.deleteTopics({ topics: [name] }));
  // Asked once each time: the client would ask for long before it believes that a topic is unknown.
  const isGone = (admin: Admin) => async () => (await partitionsOf(admin, name)) === 0;
  await withAdmin(bootstrap, (admin) => until(`${name} is gone`, isGone(admin)), { retries: 0 });
}

/** Deletes a consumer group and its offsets, as their retention would in the end. */
export async function deleteGroup(bootstrap: string, group: string): Promise<void> {
  await withAdmin(bootstrap, (admin) => admin.deleteGroups({ groups: [group] }));
}

/** Gives rights; resolves when the broker knows them. */
export async function grant(bootstrap: string, rights: readonly Right[]): Promise<void> {
  const creations = rights.map((right) => ({
    resourceType: ResourceTypes[right.resourceType],
    resourceName: right.name,
    resourcePatternType: ResourcePatternTypes[right.pattern ?? "LITERAL"],
    principal: right.principal,
    host: "*",
    operation: AclOperations[right.operation],
    permissionType: AclPermissionTypes.ALLOW,
  }));
  await withAdmin(bootstrap, (admin) => admin.createAcls({ creations }));
}

/** Takes every right of a principal away. */
export async function revokeAll(bootstrap: string, principal: string): Promise<void> {
  const filter = {
    resourceType: ResourceTypes.ANY,
    resourceName: null,
    resourcePatternType: ResourcePatternTypes.ANY,
    principal,
    host: null,
    operation: AclOperations.ANY,
    permissionType: AclPermissionTypes.ANY,
  };
  await withAdmin(bootstrap, (admin) => admin.deleteAcls({ filters: [filter] }));
}

/** Tries again by default: a coordinator, for one, comes into being when it is first asked for. */
async function withAdmin<T>(
  bootstrap: string,
  use: (admin: Admin) => Promise<T>,
  { retries }: { readonly retries: number } = { retries: 30 },
): Promise<T> {
  const admin = new Admin({
    clientId: "weir-tests",
    bootstrapBrokers: [bootstrap],
    retries,
    retryDelay: 100,
    connectTimeout: 2_000,
    timeout: 5_000,
  });
  try {
    return await use(admin);
  } finally {
    await admin.close();
  }
}

/** 0 where the broker does not know the topic, or has no leader for it yet. */
async function partitionsOf(admin: Admin, topic: string): Promise<number> {
  try {
    const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true });
    const partitions = topics.get(topic)?.partitions ?? [];
    return partitions.filter(({ leader }) => leader >= 0).length;
  } catch {
    return 0;
  }
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + waitMsMax;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`after ${waitMsMax} ms, not yet: ${what}`);
    await wait(20);
  }
}
