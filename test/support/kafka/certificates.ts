/** A certificate authority and what it signed, made by openssl into a folder, all in PEM. */

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A private key and its certificate: paths of PEM files. */
export type Identity = { readonly key: string; readonly certificate: string };

/** Paths of PEM files. */
export type Certificates = {
  /** Certificate of the authority. */
  readonly authority: string;
  /** For 127.0.0.1 and localhost. */
  readonly server: Identity;
  /** Key and certificate of the server in one file, as Kafka takes them. */
  readonly serverKeyStore: string;
  /** Principal User:CN=client. */
  readonly client: Identity;
  /** Of the same authority, and no longer valid. */
  readonly expiredClient: Identity;
};

const serverNames = "subjectAltName=IP:127.0.0.1,DNS:localhost";

/** Makes an authority of its own for each folder, so another folder's is a stranger. */
export function makeCertificates(folder: string): Certificates {
  const authority = makeAuthority(folder);
  const server = sign(folder, authority, { name: "server", days: 2, extension: serverNames });
  const serverKeyStore = join(folder, "server-key-store.pem");
  writeFileSync(
    serverKeyStore,
    readFileSync(server.key, "utf8") + readFileSync(server.certificate),
  );
  return {
    authority: authority.certificate,
    server,
    serverKeyStore,
    client: sign(folder, authority, { name: "client", days: 2 }),
    expiredClient: sign(folder, authority, { name: "expired-client", days: -1 }),
  };
}

function makeAuthority(folder: string): Identity {
  const made = identityIn(folder, "authority");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const files = ["-keyout", made.key, "-out", made.certificate];
  openssl(["req", "-x509", ...key, ...files, "-subj", "/CN=authority", "-days", "2"]);
  return made;
}

/** A negative number of days ends the certificate's time before it is made. */
function sign(
  folder: string,
  authority: Identity,
  options: { readonly name: string; readonly days: number; readonly extension?: string },
): Identity {
  const made = identityIn(folder, options.name);
  const request = join(folder, `${options.name}.csr`);
  const extensions = join(folder, `${options.name}.ext`);
  writeFileSync(extensions, `${options.extension ?? "basicConstraints=CA:FALSE"}\n`);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(["req", ...key, "-keyout", made.key, "-out", request, "-subj", `/CN=${options.name}`]);
  const by = ["-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial"];
  const time = ["-days", String(options.days), "-extfile", extensions];
  openssl(["x509", "-req", "-in", request, ...by, ...time, "-out", made.certificate]);
  return made;
}

function identityIn(folder: string, name: string): Identity {
  return { key: join(folder, `${name}-key.pem`), certificate: join(folder, `${name}.pem`) };
}

function openssl(args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}
