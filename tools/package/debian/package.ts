/**
 * The Debian package of one packed file: `dpkg-deb` alone, no root, the same bytes from the same commit.
 *
 *   /usr/bin/weir                            the file
 *   /usr/lib/systemd/system/weir.service     deploy/weir.service
 *   /usr/lib/sysusers.d/weir.conf            deploy/sysusers.conf
 *   /etc/weir/weir.yaml                      deploy/gateway.yaml, a conffile: what a person changed stays
 *   /usr/share/doc/weir/                     copyright, an example, the bill of materials
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { findTool } from "../../../test/support/require-tool.ts";
import { root } from "../bundle.ts";
import type { Architecture } from "../parts.ts";

export type PackageOptions = {
  readonly architecture: Architecture;
  readonly version: string;
  /** The packed file, and the bill of materials beside it. */
  readonly program: string;
  readonly bill: string;
  readonly copyright: string;
  /** A folder for what is made on the way. */
  readonly work: string;
  /** Where the package goes. */
  readonly output: string;
  /** For one that is tried and thrown away: larger, and at once. */
  readonly fast?: boolean;
};

export const debianArchitectures: Readonly<Record<Architecture, string>> = {
  x64: "amd64",
  arm64: "arm64",
};

const maintainerScripts = ["preinst", "postinst", "prerm", "postrm"];

/** What Node and LMDB's native part ask the system's loader for; the service's user; its start. */
const depends = [
  "libc6 (>= 2.34)",
  "libstdc++6 (>= 11)",
  "libgcc-s1",
  "libatomic1",
  "systemd | systemd-standalone-sysusers",
  "init-system-helpers (>= 1.54~)",
];

/** Name of its file. */
export function packageName(version: string, architecture: Architecture): string {
  return `weir_${version}_${debianArchitectures[architecture]}.deb`;
}

/** Throws where dpkg-deb is not here. */
export function makePackage(options: PackageOptions): void {
  if (findTool("dpkg-deb") === undefined) {
    throw new Error("a Debian package is made by dpkg-deb; install dpkg (Debian package dpkg)");
  }
  const { architecture, version, work, output, fast = false } = options;
  const tree = mkdtempSync(join(work, "deb-"));
  chmodSync(tree, 0o755);
  const put = (path: string, content: string | Buffer, mode = 0o644): void => {
    const file = join(tree, path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, content);
    chmodSync(file, mode);
  };
  const deploy = (name: string): Buffer => readFileSync(join(root, "deploy", name));
  mkdirSync(join(tree, "usr/bin"), { recursive: true, mode: 0o755 });
  copyFileSync(options.program, join(tree, "usr/bin/weir"));
  chmodSync(join(tree, "usr/bin/weir"), 0o755);
  put("usr/lib/systemd/system/weir.service", deploy("weir.service"));
  put("usr/lib/sysusers.d/weir.conf", deploy("sysusers.conf"));
  put("etc/weir/weir.yaml", deploy("gateway.yaml"));
  const doc = "usr/share/doc/weir";
  put(`${doc}/copyright`, options.copyright);
  put(`${doc}/changelog.gz`, gzipSync(changelogText(version), { level: 9 }));
  put(`${doc}/weir.cdx.json.gz`, gzipSync(readFileSync(options.bill), { level: 9 }));
  put(`${doc}/examples/weir.example.yaml`, readFileSync(join(root, "weir.example.yaml")));
  put("DEBIAN/md5sums", sumsOf(tree));
  put("DEBIAN/conffiles", "/etc/weir/weir.yaml\n");
  for (const name of maintainerScripts) put(`DEBIAN/${name}`, deploy(`deb/${name}`), 0o755);
  put("DEBIAN/control", controlText({ architecture, version, tree }));

  // xz takes a small machine a minute to unpack. Whoever has glibc 2.34 has a dpkg that reads zstd.
  const words = ["--root-owner-group", "-Zzstd", `-z${fast ? 1 : 12}`, "--build", tree, output];
  mkdirSync(dirname(output), { recursive: true });
  execFileSync("dpkg-deb", words, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, SOURCE_DATE_EPOCH: sourceDate() },
  });
}

function controlText({
  architecture,
  version,
  tree,
}: Pick<PackageOptions, "architecture" | "version"> & { readonly tree: string }): string {
  const { DEBFULLNAME = "whoever built this", DEBEMAIL = "root@localhost" } = process.env;
  const kilobytes = filesIn(tree).reduce(
    (sum, path) => sum + Math.ceil(statSync(join(tree, path)).size / 1024),
    0,
  );
  return `Package: weir
Version: ${version}
Architecture: ${debianArchitectures[architecture]}
Maintainer: ${DEBFULLNAME} <${DEBEMAIL}>
Installed-Size: ${kilobytes}
Depends: ${depends.join(", ")}
Section: net
Priority: optional
Description: edge agent that keeps every sensor reading
 Sensors publish MQTT to it. A reading is acknowledged once it is safe on disk;
 windows, control charts and sketches run as it arrives; summaries and alerts
 go to Kafka, MQTT, HTTP or files, each exactly once where that is possible.
 .
 As it is installed, it listens on loopback alone.
`;
}

function changelogText(version: string): string {
  const { DEBFULLNAME = "whoever built this", DEBEMAIL = "root@localhost" } = process.env;
  const date = new Date(Number(sourceDate()) * 1_000).toUTCString().replace("GMT", "+0000");
  return `weir (${version}) stable; urgency=medium

  * The decisions and what they cost are in docs/decisions of the sources.

 -- ${DEBFULLNAME} <${DEBEMAIL}>  ${date}
`;
}

function sumsOf(tree: string): string {
  return filesIn(tree)
    .map((path) => {
      const digest = createHash("md5")
        .update(readFileSync(join(tree, path)))
        .digest("hex");
      return `${digest}  ${path}\n`;
    })
    .join("");
}

/** Paths of what is installed, in order. */
function filesIn(tree: string): readonly string[] {
  return globSync("{etc,usr}/**", { cwd: tree })
    .filter((path) => statSync(join(tree, path)).isFile())
    .toSorted();
}

/** Seconds since 1970 of the commit, so that its package is always the same; without one, of now. */
function sourceDate(): string {
  const { SOURCE_DATE_EPOCH: given } = process.env;
  if (given !== undefined) return given;
  try {
    const words = ["-C", root, "log", "-1", "--format=%ct"];
    return execFileSync("git", words, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return String(Math.floor(Date.now() / 1_000));
  }
}
