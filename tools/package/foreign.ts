/** Programs of another architecture on this machine, under qemu's user emulation. */

import { existsSync } from "node:fs";
import { findTool } from "../../test/support/require-tool.ts";
import type { Architecture } from "./parts.ts";

type Foreign = {
  readonly emulator: string;
  readonly libraries: string;
  readonly strip: string;
  /** Debian packages that bring them. */
  readonly packages: readonly string[];
};

const foreign: Readonly<Partial<Record<Architecture, Foreign>>> = {
  arm64: {
    emulator: "qemu-aarch64-static",
    libraries: "/usr/aarch64-linux-gnu",
    strip: "aarch64-linux-gnu-strip",
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

/** Debian packages that make its programs run here, and be made whole. */
export function packagesFor(architecture: Architecture): readonly string[] {
  return architecture === process.arch ? ["binutils"] : (foreign[architecture]?.packages ?? []);
}

/** The program that takes symbols out of a file of the architecture; undefined: it is not here. */
export function stripOf(architecture: Architecture): string | undefined {
  return findTool(architecture === process.arch ? "strip" : (foreign[architecture]?.strip ?? ""));
}
