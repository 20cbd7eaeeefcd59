/** Certificate authorities and what they sign and revoke, made by openssl into a folder, all in PEM. */

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A private key and its certificate: paths of PEM files. */
export type Identity = { readonly key: string; readonly certificate: string };

/** An authority with a folder of its own; what it signs is there. */
export type Authority = Identity & { readonly folder: string };

/** Not yet valid, valid for two days from now, or no longer valid. */
type Validity = "early" | "valid" | "expired";

const spans: Readonly<Record<Validity, readonly string[]>> = {
  early: ["-startdate", "20980101000000Z", "-enddate", "20990101000000Z"],
  valid: ["-days", "2"],
  expired: ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"],
};

export const serverNames: readonly string[] = ["IP:127.0.0.1", "DNS:localhost"];

/** Each is a stranger to the others. */
export function makeAuthority(folder: string, name: string = "authority"): Authority {
  mkdirSync(folder, { recursive: true });
  const made = identityIn(folder, name);
  writeFileSync(join(folder, "index.txt"), "");
  writeFileSync(
    join(folder, "ca.conf"),
    [
      "[ca]",
      "default_ca = own",
      "[own]",
      `database = ${join(folder, "index.txt")}`,
      `new_certs_dir = ${folder}`,
      "rand_serial = yes",
      "unique_subject = no",
      "default_md = sha256",
      "default_crl_days = 2",
      "policy = any",
      "[any]",
      "commonName = optional",
      "organizationName = optional",
      "",
    ].join("\n"),
  );
  const files = ["-keyout", made.key, "-out", made.certificate];
  openssl(["req", "-x509", ...newKey, ...files, "-subj", `/CN=${name}`, "-days", "2"]);
  return { ...made, folder };
}

/** `name` is that of the files and, unless `subject` says otherwise ("/CN=other"), the common name. */
export function issue(
  authority: Authority,
  {
    name,
    subject = `/CN=${name}`,
    validity = "valid",
    names = [],
  }: {
    readonly name: string;
    readonly subject?: string;
    readonly validity?: Validity;
    /** Of a server, as "DNS:localhost". */
    readonly names?: readonly string[];
  },
): Identity {
  const { folder } = authority;
  const made = identityIn(folder, name);
  const request = join(folder, `${name}.csr`);
  const extensions = join(folder, `${name}.ext`);
  const own =
    names.length === 0 ? "basicConstraints=CA:FALSE" : `subjectAltName=${names.join(",")}`;
  writeFileSync(extensions, `${own}\n`);
  openssl(["req", ...newKey, "-keyout", made.key, "-out", request, "-subj", subject]);
  const files = ["-in", request, "-out", made.certificate, "-extfile", extensions];
  ca(authority, ["-batch", "-notext", ...spans[validity], ...files]);
  return made;
}

/** The list of what the authority has revoked, these among it: path of a PEM file, always the same. */
export function revoke(authority: Authority, identities: readonly Identity[]): string {
  const list = join(authority.folder, "revoked.pem");
  for (const { certificate } of identities) ca(authority, ["-revoke", certificate]);
  ca(authority, ["-gencrl", "-out", list]);
  return list;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

function ca({ folder, certificate, key }: Authority, args: readonly string[]): void {
  openssl([
    "ca",
    "-config",
    join(folder, "ca.conf"),
    "-cert",
    certificate,
    "-keyfile",
    key,
    ...args,
  ]);
}

function identityIn(folder: string, name: string): Identity {
  return { key: join(folder, `${name}-key.pem`), certificate: join(folder, `${name}.pem`) };
}

function openssl(args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}
