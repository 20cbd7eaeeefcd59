/**
 * A small Debian of any architecture as a folder: packages that apt fetches and checks, unpacked and
 * entered into dpkg's list as installed. Nothing of it has run yet, so no emulator is needed to make it.
 */

import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { root } from "../bundle.ts";
import type { Architecture } from "../parts.ts";
import { debianArchitectures } from "./package.ts";

/** What a maintainer script counts on, and what weir asks the loader for; apt adds what these need. */
const packages =
  `base-files base-passwd coreutils dash debianutils diffutils dpkg findutils grep init-system-helpers
  libc-bin perl-base sed tar util-linux libc6 libstdc++6 libgcc-s1 libatomic1
  systemd-standalone-sysusers`.split(/\s+/);

const cache = join(root, "node_modules/.cache/weir-debian");
const sources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
/** Since Debian 12 these are links into /usr. */
const merged = ["bin", "sbin", "lib"];

/** Makes it in `folder`, which is not there yet. Throws where apt fails, or this is no Debian. */
export function makeDebianRoot(folder: string, architecture: Architecture): void {
  for (const name of merged) {
    mkdirSync(join(folder, "usr", name), { recursive: true });
    symlinkSync(`usr/${name}`, join(folder, name));
  }
  const status = join(folder, "var/lib/dpkg/status");
  const info = join(folder, "var/lib/dpkg/info");
  mkdirSync(info, { recursive: true });
  writeFileSync(status, "");
  for (const file of fetched(architecture)) {
    const tar = ["--extract", "--keep-directory-symlink", "--directory", folder];
    const files = execFileSync("dpkg-deb", ["--fsys-tarfile", file], { maxBuffer: 268_435_456 });
    const names = execFileSync("tar", ["--list"], { input: files, encoding: "utf8" });
    execFileSync("tar", tar, { input: files });
    const control = execFileSync("dpkg-deb", ["--field", file], { encoding: "utf8" }).trim();
    appendFileSync(status, `${control}\nStatus: install ok installed\n\n`);
    const field = (name: string): string =>
      new RegExp(`^${name}: (.*)$`, "m").exec(control)?.[1] ?? "";
    const isShared = field("Multi-Arch") === "same";
    const name = `${field("Package")}${isShared ? `:${field("Architecture")}` : ""}`;
    writeFileSync(
      join(info, `${name}.list`),
      names.replaceAll(/^\.(.*?)\/?$/gm, (_, path: string) => path || "/."),
    );
  }
  for (const name of ["passwd", "group"]) {
    copyFileSync(join(folder, `usr/share/base-passwd/${name}.master`), join(folder, "etc", name));
  }
  // What runs nowhere has no one to be asked.
  writeFileSync(join(folder, "etc/resolv.conf"), "");
}

/** Paths of the packages with all they need; kept, so that the next time apt has nothing to fetch. */
function fetched(architecture: Architecture): readonly string[] {
  const list = sources.find((path) => existsSync(path));
  if (list === undefined) {
    throw new Error(`a Debian root needs the sources of a Debian (${sources.join(" or ")})`);
  }
  const own = join(cache, architecture);
  const archives = join(own, "archives");
  const whole = join(own, "whole");
  const debs = (): readonly string[] =>
    readdirSync(archives)
      .filter((name) => name.endsWith(".deb"))
      .map((name) => join(archives, name));
  if (existsSync(whole)) return debs();
  rmSync(own, { recursive: true, force: true });
  mkdirSync(join(own, "state/lists/partial"), { recursive: true });
  mkdirSync(join(archives, "partial"), { recursive: true });
  writeFileSync(join(own, "status"), "");
  const name = debianArchitectures[architecture];
  const settings = [
    `APT::Architecture "${name}"; APT::Architectures { "${name}"; };`,
    `Dir::State "${own}/state"; Dir::State::status "${own}/status";`,
    `Dir::Cache "${own}"; Dir::Cache::archives "${archives}";`,
    `Dir::Etc::sourcelist "${list}"; Dir::Etc::sourceparts "-";`,
    `APT::Install-Recommends "false"; APT::Sandbox::User "root"; Acquire::Languages "none";`,
  ];
  writeFileSync(join(own, "apt.conf"), settings.join("\n"));
  const apt = (...words: readonly string[]): void => {
    const env = { ...process.env, APT_CONFIG: join(own, "apt.conf") };
    execFileSync("apt-get", ["-qq", "--yes", ...words], { env, stdio: ["ignore", 2, 2] });
  };
  apt("update");
  apt("--download-only", "install", ...packages);
  rmSync(join(own, "state"), { recursive: true });
  writeFileSync(`${whole}.part`, "");
  renameSync(`${whole}.part`, whole);
  return debs();
}
