/**
 * `npm run package`: one executable file for each architecture, with checksums and a bill of materials
 * beside them, in dist/. From npm's packages alone, whatever the machine it is made on.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempDisposableSync, mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../../src/agent/version.ts";
import { writeBill, writeSums } from "./bill.ts";
import { bundle, root } from "./bundle.ts";
import { runApart } from "./apart.ts";
import { copyrightText } from "./debian/copyright.ts";
import { makePackage, packageName } from "./debian/package.ts";
import { makeExecutable } from "./executable.ts";
import { packagesFor, runnerOf } from "./foreign.ts";
import { type Architecture, architectures } from "./parts.ts";
import { runTrial } from "./trial.ts";

const usage = `usage: npm run package [-- OPTIONS]

Makes dist/weir-${version}-linux-ARCH, dist/SHA256SUMS and a bill of materials (CycloneDX) for each.

  --arch x64|arm64  for which architecture; several times for several (default: that of this machine)
  --out DIR         another folder than dist
  --deb             a Debian package of each as well (wants dpkg-deb)
  --container       run the image of Dockerfile.arm64 here, made of the arm64 file without a container
                    engine: as its user, on a read-only root (as root; Linux 6.7)
  --selftest        then run each file's selftest, under qemu where it is of another architecture
  --trial           and a minute of sensors and power cuts, which must lose nothing; with --deb, also
                    install, upgrade, remove and purge the package in a small Debian (as root; apt
                    fetches that once)`;

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...words],
    options: {
      arch: { type: "string", multiple: true, default: [process.arch] },
      out: { type: "string", default: join(root, "dist") },
      deb: { type: "boolean", default: false },
      container: { type: "boolean", default: false },
      selftest: { type: "boolean", default: false },
      trial: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const unknown = values.arch.find((name) => !isArchitecture(name));
  if (unknown !== undefined) {
    const why = /^arm(v[67]l?|hf|el)?$/.test(unknown) ? ": weir wants a 64-bit system" : "";
    const wanted = architectures.join(", ");
    console.error(`--arch wants one of ${wanted}, not ${unknown}${why}\n\n${usage}`);
    return 2;
  }
  using work = mkdtempDisposableSync(join(tmpdir(), "weir-package-"));
  const out = resolve(values.out);
  const main = join(work.path, "weir.cjs");
  const bundled = await bundle(main, commitHere());
  for (const architecture of values.arch.filter(isArchitecture)) {
    const output = join(out, `weir-${version}-linux-${architecture}`);
    const { lacks } = makeExecutable({ architecture, main, work: work.path, output });
    chmodSync(output, 0o755);
    writeBill(`${output}.cdx.json`, { architecture, bundled });
    console.log(`${output} ${(statSync(output).size / 1e6).toFixed(1)} MB`);
    for (const lack of lacks) console.log(`  ${lack}`);
    const made = { file: output, architecture, work: work.path };
    if (!passes(made, values)) return 1;
    if (values.container && architecture === "arm64" && !(await imagePasses(made))) return 1;
    if (!values.deb) continue;
    const copyright = copyrightText(bundled, architecture);
    if (!(await packagePasses({ ...made, copyright, out, trial: values.trial }))) return 1;
  }
  writeSums(join(out, "SHA256SUMS"));
  return 0;
}

function isArchitecture(name: string): name is Architecture {
  return architectures.some((known) => known === name);
}

/** See src/agent/version.ts; undefined where this is no clone. */
function commitHere(): string | undefined {
  const git = (...words: readonly string[]) =>
    spawnSync("git", ["-C", root, ...words], { encoding: "utf8" });
  const { status, stdout } = git("rev-parse", "--short=12", "HEAD");
  if (status !== 0) return undefined;
  return stdout.trim() + (git("status", "--porcelain").stdout === "" ? "" : "+");
}

type Made = { readonly file: string; readonly architecture: Architecture; readonly work: string };

type DebianMade = Made & {
  readonly copyright: string;
  readonly out: string;
  readonly trial: boolean;
};

/** Makes the Debian package; false where its trial fails, which has said why. */
async function packagePasses(made: DebianMade): Promise<boolean> {
  const { file, architecture, work, out, copyright } = made;
  const common = { architecture, program: file, bill: `${file}.cdx.json`, copyright, work };
  const output = join(out, packageName(version, architecture));
  makePackage({ ...common, version, output });
  console.log(`${output} ${(statSync(output).size / 1e6).toFixed(1)} MB`);
  if (!made.trial) return true;
  // The same code as an older one: what is tried is the package.
  const before = `${version}~before`;
  const older = join(work, packageName(before, architecture));
  makePackage({ ...common, version: before, output: older, fast: true });
  const trial = join(import.meta.dirname, "debian/trial.ts");
  using place = mkdtempDisposableSync(join(work, "debian-"));
  chmodSync(place.path, 0o755); // the service's user goes through it
  const words = [trial, architecture, older, output, place.path];
  return (await runApart([process.execPath, ...words])) === 0;
}

/** False where the image is not what it should be, which has been said. */
async function imagePasses({ file, work }: Made): Promise<boolean> {
  const trial = join(import.meta.dirname, "container/trial.ts");
  using place = mkdtempDisposableSync(join(work, "image-"));
  chmodSync(place.path, 0o755); // its user goes through it
  return (await runApart([process.execPath, trial, file, place.path])) === 0;
}

function passes(
  made: Made,
  wanted: { readonly selftest: boolean; readonly trial: boolean },
): boolean {
  if (!wanted.selftest && !wanted.trial) return true;
  const { file, architecture, work } = made;
  const runner = runnerOf(architecture);
  if (runner === undefined) {
    console.error(`${file} cannot run here: install ${packagesFor(architecture).join(" ")}`);
    return false;
  }
  const [program, ...words] = [...runner, file];
  try {
    if (wanted.selftest) execFileSync(program!, [...words, "selftest"], { stdio: "inherit" });
    if (wanted.trial) runTrial(file, { runner, work: mkdtempSync(join(work, "trial-")) });
    return true;
  } catch (error) {
    // It ran, and has said what failed.
    if (error instanceof Error && "status" in error && error.status !== null) return false;
    throw error;
  }
}
