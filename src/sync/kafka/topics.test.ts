import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterModel } from "../../../test/support/kafka/cluster-model.ts";
import { Fault } from "../../core/faults.ts";
import type { Cluster } from "./cluster.ts";
import { openTopics, type TopicPart } from "./topics.ts";

const options = { create: true, partitions: 3, replication: 1, cursorPartitions: 5 };

function part(more: Partial<TopicPart> = {}): TopicPart {
  return {
    data: "d",
    cursor: "c",
    options,
    wait: async () => undefined,
    waitMsMax: 1_000,
    ...more,
  };
}

function rig(): { readonly model: ClusterModel; readonly session: Cluster } {
  const model = new ClusterModel({ clock: () => 0 });
  return { model, session: model.connect() };
}

test("missing topics are created, and the partitions of both are told", async () => {
  const { session } = rig();
  assert.deepEqual(await openTopics(session, part()), { data: 3, cursor: 5 });
  assert.deepEqual(await openTopics(session, part()), { data: 3, cursor: 5 });
});

test("without transactions there is no cursor topic", async () => {
  const { session } = rig();
  assert.deepEqual(await openTopics(session, part({ cursor: undefined })), { data: 3, cursor: 0 });
  assert.equal((await session.partitionsOf(["c"])).size, 0);
});

test("a topic that somebody else creates at the same time is taken as it is", async () => {
  const { model, session } = rig();
  model.fate = ({ request, topic }) => {
    if (request === "CreateTopics" && topic === "d") model.createTopic("d", { partitions: 7 });
    return "answer";
  };
  assert.deepEqual(await openTopics(session, part()), { data: 7, cursor: 5 });
});

test("a topic that does not appear is waited for, not for ever", async () => {
  const { session } = rig();
  let waitedMs = 0;
  const hidden = { ...session, partitionsOf: async () => new Map<string, number>() };
  const bound: Cluster = {
    ...hidden,
    isLost: false,
    traffic: { sent: 0, received: 0 },
    close: async () => await session.close(),
  };
  const wait = async (ms: number): Promise<void> => {
    waitedMs += ms;
  };
  await assert.rejects(
    openTopics(bound, part({ wait })),
    /the cluster has no topic d .* and no topic c/,
  );
  assert.equal(waitedMs, 1_000);
});

test("a cursor topic that also deletes is refused", async () => {
  const { model, session } = rig();
  model.createTopic("c", { config: { "cleanup.policy": "compact,delete" } });
  const isSaid = (error: unknown): boolean =>
    error instanceof Fault &&
    error.code === "UPLINK_REFUSED" &&
    /compact,delete/.test(error.message);
  await assert.rejects(openTopics(session, part()), isSaid);
});
