/** What the transaction coordinator still knows of a transactional id. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  Connection,
  describeTransactionsV0,
  type ProtocolError,
  ResponseError,
} from "@platformatic/kafka";

const waitMsMax = 20_000;

/** Resolves when the cluster knows none of these ids any more; they expire after their last use. */
export async function forgotten(bootstrap: string, ids: readonly string[]): Promise<void> {
  const connection = new Connection("weir-tests");
  const [host = "", port = ""] = bootstrap.split(":");
  await connection.connect(host, Number(port));
  const deadline = performance.now() + waitMsMax;
  try {
    for (const id of ids) {
      while (await isKnown(connection, id)) {
        if (performance.now() > deadline) throw new Error(`${id} is still known`);
        await sleep(50);
      }
    }
  } finally {
    await connection.close();
  }
}

async function isKnown(connection: Connection, id: string): Promise<boolean> {
  try {
    await describeTransactionsV0.api.async(connection, [id]);
    return true;
  } catch (error) {
    // The client rejects where the answer holds an error.
    const isUnknown = ({ apiId }: ProtocolError): boolean => apiId === "TRANSACTIONAL_ID_NOT_FOUND";
    if (error instanceof ResponseError && error.errors.some(isUnknown)) return false;
    throw error;
  }
}
