/**
 * An MQTT front on real sockets with a receiver that writes down what it gets, and a loop that
 * commits every so often without a disk: for tests with real clients.
 */

import { systemClock } from "../../src/agent/doors/clock.ts";
import { systemNet } from "../../src/agent/doors/net.ts";
import { type Front, openFront } from "../../src/agent/ingest/mqtt/front/front.ts";
import { systemHashing } from "../../src/agent/doors/hashing.ts";
import { systemRandom } from "../../src/agent/doors/random.ts";
import { openAccess } from "../../src/agent/ingest/mqtt/access/access.ts";
import type { ListenAddress, Net } from "../../src/core/doors.ts";
import { RecordingReceiver } from "./front-rig.ts";

export type FrontServer = {
  readonly front: Front;
  readonly port: number;
  readonly receiver: RecordingReceiver;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

export async function openFrontServer(
  options: {
    readonly commitEveryMs?: number;
    readonly users?: readonly { readonly name: string; readonly password: string }[];
    readonly net?: Net;
    /** Default: plain, on a free port of loopback. */
    readonly listen?: ListenAddress;
  } = {},
): Promise<FrontServer> {
  const receiver = new RecordingReceiver();
  const front = await openFront({
    net: options.net ?? systemNet(),
    clock: systemClock(),
    random: systemRandom(),
    receiver,
    listeners: [options.listen ?? { host: "127.0.0.1", port: 0 }],
    access: await openAccess({
      config: { anonymous: false, users: options.users ?? [] },
      clock: systemClock(),
      hashing: systemHashing,
      random: systemRandom(),
    }),
  });
  const timer = setInterval(() => {
    front.seal();
    front.release();
    front.room();
  }, options.commitEveryMs ?? 20);
  return {
    front,
    port: front.port,
    receiver,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await front.close();
    },
  };
}
