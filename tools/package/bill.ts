/** What is in a packed file, in CycloneDX as npm writes it, and the checksums of what was made. */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { version } from "../../src/agent/version.ts";
import { type Bundle, root } from "./bundle.ts";
import { type Architecture, type NpmPackage, partsOf } from "./parts.ts";

type Component = { readonly "bom-ref": string; readonly [key: string]: unknown };

type Bill = {
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
  readonly [key: string]: unknown;
};

/** Packages whose code is in the file, Node, and LMDB's native part. */
export function writeBill(
  path: string,
  { architecture, bundled }: { readonly architecture: Architecture; readonly bundled: Bundle },
): void {
  const words = ["sbom", "--sbom-format", "cyclonedx", "--workspaces=false"];
  const text = execFileSync("npm", words, { cwd: root, encoding: "utf8", maxBuffer: 67_108_864 });
  const bill = JSON.parse(text) as Bill;
  const inside = new Set([...bundled.packages].map(referenceIn));
  const kept = bill.components.filter((component) => inside.has(component["bom-ref"]));
  const parts = partsOf(architecture).packages.map(componentOf);
  const known = new Set(kept.map((component) => component["bom-ref"]));
  const whole = {
    ...bill,
    components: [...kept, ...parts],
    dependencies: bill.dependencies
      .filter(({ ref }) => known.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((on) => known.has(on)) })),
  };
  const lost = [...inside].filter((reference) => !known.has(reference));
  if (lost.length > 0) throw new Error(`npm's bill of materials lacks ${lost.join(", ")}`);
  writeFileSync(path, `${JSON.stringify(whole, undefined, 2)}\n`);
}

/** `name@version` of the package in a folder below the root, npm's reference to it. */
function referenceIn(folder: string): string {
  const manifest = JSON.parse(
    readFileSync(join(root, folder, "package.json"), "utf8"),
  ) as NpmPackage;
  return `${manifest.name}@${manifest.version}`;
}

function componentOf({ name, version: packageVersion, integrity }: NpmPackage): Component {
  const digest = Buffer.from(integrity.slice("sha512-".length), "base64").toString("hex");
  return {
    "bom-ref": `${name}@${packageVersion}`,
    type: "library",
    name,
    version: packageVersion,
    purl: `pkg:npm/${name.replace("@", "%40")}@${packageVersion}`,
    hashes: [{ alg: "SHA-512", content: digest }],
  };
}

/** Of all files beside it that are of this version, as `sha256sum --check` reads it in their folder. */
export function writeSums(path: string): void {
  const folder = dirname(path);
  const lines = readdirSync(folder)
    .filter((name) => name.startsWith(`weir-${version}-`) || name.startsWith(`weir_${version}_`))
    .map((name) => {
      const digest = createHash("sha256")
        .update(readFileSync(join(folder, name)))
        .digest("hex");
      return `${digest}  ${name}\n`;
    });
  writeFileSync(path, lines.join(""));
}
