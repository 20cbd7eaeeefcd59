/** Certificates as brokers and their clients have them, made into a folder. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Identity, issue, makeAuthority, serverNames } from "../certificates.ts";

export type { Identity };

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

/** Makes an authority of its own for each folder, so another folder's is a stranger. */
export function makeCertificates(folder: string): Certificates {
  const authority = makeAuthority(folder);
  const server = issue(authority, { name: "server", names: serverNames });
  const serverKeyStore = join(folder, "server-key-store.pem");
  writeFileSync(
    serverKeyStore,
    readFileSync(server.key, "utf8") + readFileSync(server.certificate),
  );
  return {
    authority: authority.certificate,
    server,
    serverKeyStore,
    client: issue(authority, { name: "client" }),
    expiredClient: issue(authority, { name: "expired-client", validity: "expired" }),
  };
}
