/** The fault with which a promise is expected to be rejected. */

import assert from "node:assert/strict";
import { Fault } from "../../src/core/faults.ts";

export async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const failure = await promise.then(
    () => assert.fail("it is not rejected"),
    (error: unknown) => error,
  );
  assert.ok(failure instanceof Fault, String(failure));
  return failure;
}
