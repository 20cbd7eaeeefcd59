/**
 * Chance, from one seed.
 *
 * Generator: sfc32 (Chris Doty-Humphrey, PractRand "Small Fast Counting"), 128 bits of state, 32
 * bits out. Its state comes from splitmix32 over the seed and an FNV-1a hash of the stream's name,
 * so each device, machine and fault kind owns a stream and none shifts another's numbers.
 *
 * Only + - * / and 32-bit integers are used: the same seed gives the same bytes on every machine.
 * That is why `normal` is a sum of uniforms and `wave` is not Math.sin.
 */

/** The next number in [0, 1). */
export type Random = () => number;

/** The stream `name` of `seed`. Two names give unrelated streams. */
export function randomOf(seed: number, name: string): Random {
  const low = seed | 0;
  const high = Math.floor(seed / 2 ** 32) | 0;
  const next = sfc32(
    fnv1a(name, 0x811c9dc5 ^ low),
    fnv1a(name, 0x9e3779b9 ^ high),
    fnv1a(name, 0x85ebca6b ^ low),
    fnv1a(name, 0xc2b2ae35 ^ high),
  );
  for (let round = 0; round < 20; round += 1) next();
  return next;
}

/** Uniform in [min, max). */
export function uniform(random: Random, min: number, max: number): number {
  return min + (max - min) * random();
}

/** An integer in [min, max], both included. */
export function integer(random: Random, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1));
}

/** True with probability `share`; draws once whatever the share is. */
export function chance(random: Random, share: number): boolean {
  return random() < share;
}

/**
 * Nearly normal with mean 0 and deviation 1: the sum of four uniforms, scaled (Irwin-Hall). Bounded
 * by 2 sqrt(3) = 3.46, so noise alone is never a spike.
 */
export function normal(random: Random): number {
  return (random() + random() + random() + random() - 2) * 1.7320508075688772;
}

/**
 * A sine with period 1, by Bhaskara's rational approximation (7th century; error below 0.0017):
 * wave(0) = 0, wave(0.25) = 1, wave(0.75) = -1.
 */
export function wave(turns: number): number {
  const turn = turns - Math.floor(turns);
  const half = turn < 0.5 ? turn * 2 : turn * 2 - 1;
  const arch = half * (1 - half);
  const height = (16 * arch) / (5 - 4 * arch);
  return turn < 0.5 ? height : -height;
}

function sfc32(a: number, b: number, c: number, d: number): Random {
  return () => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return (sum >>> 0) / 4294967296;
  };
}

function fnv1a(text: string, basis: number): number {
  let hash = basis;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash;
}
