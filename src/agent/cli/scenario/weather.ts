/** What a network is like for a while, and what several such at once are together. */

export type Weather = {
  /** cut: connections are closed, new ones too. hang: they stand, and nothing passes. */
  readonly passage: "open" | "hang" | "cut";
  /** Later by so much, each way. */
  readonly delayMs: number;
  /** Share of segments that have to be sent again. */
  readonly loss: number;
  /** Bytes a second, each way; of all connections together. */
  readonly bandwidth: number;
};

export const fairWeather: Weather = { passage: "open", delayMs: 0, loss: 0, bandwidth: Infinity };

/** Delays add up, what passes one loss meets the next, the narrowest bandwidth decides. */
export function weatherOf(all: Iterable<Weather>): Weather {
  let { passage, delayMs, loss, bandwidth } = fairWeather;
  for (const each of all) {
    if (each.passage === "cut" || passage === "open") passage = each.passage;
    delayMs += each.delayMs;
    loss = 1 - (1 - loss) * (1 - each.loss);
    bandwidth = Math.min(bandwidth, each.bandwidth);
  }
  return { passage, delayMs, loss, bandwidth };
}

export function isFair({ passage, delayMs, loss, bandwidth }: Weather): boolean {
  return passage === "open" && delayMs === 0 && loss === 0 && bandwidth === Infinity;
}
