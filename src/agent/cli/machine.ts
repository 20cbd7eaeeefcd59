/** What machines weir does not run on. */

/** Architectures that Node knows whose pointers have 32 bits. */
const narrow: ReadonlySet<string> = new Set(["arm", "ia32", "mips", "mipsel"]);

/** Why weir does not run on a machine of this architecture (`process.arch`), with the remedy; undefined where it does. */
export function machineTrouble(architecture: string): string | undefined {
  if (!narrow.has(architecture)) return undefined;
  return `this Node is for a 32-bit system (${architecture}), on which the state store could not be mapped safely; weir wants a 64-bit one, such as 64-bit Raspberry Pi OS (dpkg --print-architecture says arm64 there)`;
}
