/** Devices of the latency benchmarks: ordinary readings at a modest rate, and now and then an outlier. */

import { Publisher } from "../test/support/publisher.ts";
import { fractions } from "../test/support/seeded-random.ts";

export type Fleet = Disposable & {
  readonly sent: number;
  /** The device whose turn it is publishes a reading far off, at once. */
  outlier(n: number): { readonly device: string; readonly time: number };
};

/** Each device has a connection of its own and publishes in its turn: `rate` readings a second over all. */
export function openFleet(
  port: number,
  { devices, rate }: { readonly devices: number; readonly rate: number },
): Fleet {
  const fraction = fractions(1);
  const publishers = Array.from(
    { length: devices },
    (_, n) => new Publisher({ port, clientId: nameOf(n), window: 64 }),
  );
  const times = new Float64Array(devices);
  let sent = 0;
  const publish = (n: number, value: number): number => {
    // A device never repeats a time: the second reading would pass for the first, sent again.
    const time = Math.max(Date.now(), times[n]! + 1);
    times[n] = time;
    const payload = `{"ts":${time},"temperature":${value.toFixed(2)}}`;
    void publishers[n]!.publish(`plant/line${n % 8}/${nameOf(n)}/state`, payload);
    return time;
  };
  const startedAt = performance.now();
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * rate) / 1000);
    for (; sent < due; sent++) publish(sent % devices, 21.5 + 0.2 * fraction());
  }, 1);
  return {
    get sent() {
      return sent;
    },
    outlier: (n) => ({ device: nameOf(n % devices), time: publish(n % devices, 80) }),
    [Symbol.dispose]: () => {
      clearInterval(timer);
      for (const publisher of publishers) publisher.close();
    },
  };
}

function nameOf(device: number): string {
  return `d${String(device).padStart(5, "0")}`;
}
