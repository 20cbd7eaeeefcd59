/** Programs of another architecture on this machine, under qemu's user emulation. */

import { existsSync } from "node:fs";
import { findTool } from "../../test/support/require-tool.ts";
import type { Architecture } from "./parts.ts";

type Foreign = {
  readonly emulator: string;
  readonly libraries: string;
  readonly strip: string;
  /** What its programs begin with, and which of these bits count; as binfmt_misc reads it. */
  readonly magic: string;
  readonly mask: string;
  /** Debian packages that bring them. */
  readonly packages: readonly string[];
};

const foreign: Readonly<Partial<Record<Architecture, Foreign>>> = {
  arm64: {
    emulator: "qemu-aarch64-static",
    libraries: "/usr/aarch64-linux-gnu",
    strip: "aarch64-linux-gnu-strip",
    magic:
      "\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00",
    mask: "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff",
    packages: [
      "qemu-user-static",
      "binutils-aarch64-linux-gnu",
      "libc6-arm64-cross",
      "libstdc++6-arm64-cross",
      "libatomic1-arm64-cross",
    ],
  },
};

/** Words before a program that make it run here; undefined: it cannot. */
export function runnerOf(architecture: Architecture): readonly string[] | undefined {
  if (architecture === process.arch) return [];
  const { emulator = "", libraries = "" } = foreign[architecture] ?? {};
  const path = findTool(emulator);
  return path === undefined || !existsSync(libraries) ? undefined : [path, "-L", libraries];
}

/** The emulator by its path, and what it is for; undefined: it is not here, or not needed. */
export function emulatorOf(
  architecture: Architecture,
): { readonly file: string; readonly magic: string; readonly mask: string } | undefined {
  const found = foreign[architecture];
  const file = found === undefined ? undefined : findTool(found.emulator);
  return found === undefined || file === undefined
    ? undefined
    : { file, magic: found.magic, mask: found.mask };
}

/** Debian packages that make its programs run here, and be made whole. */
export function packagesFor(architecture: Architecture): readonly string[] {
  return architecture === process.arch ? ["binutils"] : (foreign[architecture]?.packages ?? []);
}

/** The program that takes symbols out of a file of the architecture; undefined: it is not here. */
export function stripOf(architecture: Architecture): string | undefined {
  return findTool(architecture === process.arch ? "strip" : (foreign[architecture]?.strip ?? ""));
}
