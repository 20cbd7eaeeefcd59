/** An error of the Kafka protocol inside the model of a cluster; a session makes it a Fault. */

import type { TopicPartition } from "../../../src/sync/kafka/cluster.ts";

export class ModelRefusal extends Error {
  override readonly name = "ModelRefusal";
  /** Its name in the protocol. */
  readonly error: string;
  /** The partition it is about, where a request has several. */
  readonly about: Partial<TopicPartition>;

  constructor(error: string, about: Partial<TopicPartition> = {}) {
    super(error);
    this.error = error;
    this.about = about;
  }
}
