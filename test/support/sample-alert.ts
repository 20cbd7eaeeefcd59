/** An alert as the outbox has it. */

import { millis } from "../../src/core/units.ts";
import { encodeAlert } from "../../src/store/outbox/record-codec.ts";

/** Of device d0; `time` is that of its reading, ms. */
export function sampleAlert(time: number): Uint8Array {
  return encodeAlert("gw1", {
    kind: "alert",
    pipeline: "states",
    key: [["device", "d0"]],
    time: millis(time),
    reason: "rare_symbol",
    value: "open",
    score: 1,
    expected: 0,
    limit: 1,
  });
}
