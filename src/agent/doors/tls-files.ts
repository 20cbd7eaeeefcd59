/**
 * The files of TLS: read and checked at the start, and looked at again while we run.
 *
 *   look (every limits.tlsFilesMs) --same bytes--> nothing
 *                                  --usable------> in use for new connections; open ones stay
 *                                  --not usable--> what was in use stays, and the trouble is told
 *
 * Whoever replaces a key and its certificate does so one after the other, and between the two they
 * do not fit: the next look decides.
 *
 * A certificate whose time has not come or is over is used where there is no better one: a gateway
 * without a battery clock starts in 1970, and it must start. That is told too.
 */

import type { SecureContextOptions } from "node:tls";
import { assert } from "../../core/assert.ts";
import type { CertificateStatus, Clock, TlsConnect, TlsListen } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { type Millis, millis } from "../../core/units.ts";
import {
  assertPair,
  authoritiesBytesMax,
  bytesOf,
  certificatesIn,
  digestsOf,
  privateKeyIn,
  type FileSource,
  type ReadFile,
  refusal,
  secretBytesMax,
  untimely,
  untimelyAuthorities,
} from "./pem-files.ts";

type TlsMaterial = {
  readonly options: SecureContextOptions;
  /** The first end of the own certificates; undefined where there are none. */
  readonly expires: Millis | undefined;
  /** What is not valid at this time. */
  readonly untimely: Fault | undefined;
};

type Kind = "ca" | "certificate" | "key" | "crl";
type Files = Readonly<Partial<Record<Kind, ReadFile>>>;

/** What a connection of ours begins with. Faults: TLS_FILE_UNUSABLE, naming the file and what to do. */
export async function readConnectFiles(tls: TlsConnect, nowMs: number): Promise<TlsMaterial> {
  assert(
    (tls.certificateFile === undefined) === (tls.keyFile === undefined),
    "a client certificate comes with its key",
  );
  const files = await readAll({
    ca: source("the file of authorities", tls.caFile, authoritiesBytesMax),
    certificate: source("the client certificate", tls.certificateFile, secretBytesMax),
    key: source("the client key", tls.keyFile, secretBytesMax),
  });
  const material = await materialOf(files, nowMs);
  if (material.untimely !== undefined) throw material.untimely;
  return material;
}

/** Opens the files of a listener and watches them until `close`. Faults: TLS_FILE_UNUSABLE. */
export async function watchListenFiles(tls: TlsListen, clock: Clock): Promise<WatchedTls> {
  assert(
    tls.clientCertificate === "none" || tls.clientCaFile !== undefined,
    "client certificates are checked by an authority",
  );
  const sources: Sources = {
    ca: source("the file of client authorities", tls.clientCaFile, authoritiesBytesMax),
    certificate: source("the server certificate", tls.certificateFile, secretBytesMax),
    key: source("the server key", tls.keyFile, secretBytesMax),
    crl: source("the list of revoked certificates", tls.crlFile, authoritiesBytesMax),
  };
  const files = await readAll(sources);
  const material = await materialOf(files, clock.now());
  return new WatchedTls({ sources, clock, files, material });
}

/** The files of one listener, as they were last usable. */
export class WatchedTls {
  readonly #sources: Sources;
  readonly #clock: Clock;
  #material: TlsMaterial;
  /** Of the files in use, and of those at the last look; undefined: they could not be read. */
  #inUse: string;
  #seen: string | undefined;
  #reloads = 0;
  #reloadFailures = 0;
  #trouble: string | undefined;
  #cancel: () => void = () => undefined;
  #closed = false;
  /** Others are in use from now on. */
  onChange: (options: SecureContextOptions) => void = () => undefined;

  /** Use `watchListenFiles`. */
  constructor(parts: {
    readonly sources: Sources;
    readonly clock: Clock;
    readonly files: Files;
    readonly material: TlsMaterial;
  }) {
    this.#sources = parts.sources;
    this.#clock = parts.clock;
    this.#material = parts.material;
    this.#inUse = digestOf(parts.files);
    this.#seen = this.#inUse;
    this.#trouble = parts.material.untimely?.message;
    this.#schedule();
  }

  get options(): SecureContextOptions {
    return this.#material.options;
  }

  get status(): CertificateStatus {
    const { certificate } = this.#sources;
    const { expires } = this.#material;
    assert(certificate !== undefined && expires !== undefined, "a listener has a certificate");
    return {
      file: certificate.path,
      expires,
      reloads: this.#reloads,
      reloadFailures: this.#reloadFailures,
      trouble: this.#trouble,
    };
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #schedule(): void {
    this.#cancel = this.#clock.after(limits.tlsFilesMs, () => {
      void this.#look().finally(() => {
        if (!this.#closed) this.#schedule();
      });
    });
  }

  async #look(): Promise<void> {
    const seenBefore = this.#seen;
    try {
      const files = await readAll(this.#sources);
      this.#seen = digestOf(files);
      const material = await materialOf(files, this.#clock.now());
      if (this.#closed) return;
      if (this.#seen === this.#inUse) {
        this.#trouble = material.untimely?.message;
        return;
      }
      if (material.untimely !== undefined && this.#isTimely()) throw material.untimely;
      this.#material = material;
      this.#inUse = this.#seen;
      this.#reloads += 1;
      this.#trouble = material.untimely?.message;
      this.onChange(material.options);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (this.#trouble === undefined || this.#seen !== seenBefore) this.#reloadFailures += 1;
      this.#trouble = `${error.message}; what was read before stays in use`;
    }
  }

  /** What is in use is valid now, as far as its own certificates go. */
  #isTimely(): boolean {
    return this.#clock.now() <= (this.#material.expires ?? 0);
  }
}

// ---- reading and checking ----

type Sources = Readonly<Partial<Record<Kind, FileSource | undefined>>>;

function source(noun: string, path: string | undefined, bytesMax: number): FileSource | undefined {
  return path === undefined ? undefined : { noun, path, bytesMax, code: "TLS_FILE_UNUSABLE" };
}

async function readAll(sources: Sources): Promise<Files> {
  const files: Partial<Record<Kind, ReadFile>> = {};
  for (const kind of ["ca", "certificate", "key", "crl"] as const) {
    const from = sources[kind];
    if (from !== undefined) files[kind] = { ...from, bytes: await bytesOf(from) };
  }
  return files;
}

function digestOf(files: Files): string {
  return JSON.stringify([...digestsOf(Object.values(files))]);
}

/** Checks what the files are, each by itself and together. Faults: TLS_FILE_UNUSABLE. */
async function materialOf(files: Files, nowMs: number): Promise<TlsMaterial> {
  const { ca, certificate, key, crl } = files;
  const untimelies: Fault[] = [];
  const none = ca === undefined ? undefined : untimelyAuthorities(ca, nowMs);
  if (none !== undefined) untimelies.push(none);
  let expires: Millis | undefined;
  if (certificate !== undefined && key !== undefined) {
    const locked =
      "weir has no passphrase for it: put the key there without one, readable by weir alone";
    assertPair(key, privateKeyIn(key, { passphrase: undefined, locked }), certificate);
    const own = certificatesIn(certificate);
    const faults = own.flatMap((each) => untimely(certificate, each, nowMs) ?? []);
    untimelies.push(...faults);
    expires = millis(Math.min(...own.map(({ validToDate }) => validToDate.getTime())));
  }
  if (crl !== undefined && !crl.bytes.includes("-----BEGIN X509 CRL-----")) {
    throw refusal(crl, "holds no list of revoked certificates in PEM: put one there");
  }
  const options: SecureContextOptions = {
    minVersion: "TLSv1.2",
    ...(ca === undefined ? {} : { ca: ca.bytes }),
    ...(certificate === undefined ? {} : { cert: certificate.bytes }),
    ...(key === undefined ? {} : { key: key.bytes }),
    ...(crl === undefined ? {} : { crl: crl.bytes }),
  };
  await assertUsable(options, files);
  return { options, expires, untimely: untimelies[0] };
}

/** OpenSSL takes them: the last word on what our own checks let through. */
async function assertUsable(options: SecureContextOptions, files: Files): Promise<void> {
  const { createSecureContext } = await import("node:tls");
  const failure = (tried: SecureContextOptions): Error | undefined => {
    try {
      createSecureContext(tried);
      return undefined;
    } catch (error) {
      assert(error instanceof Error, "OpenSSL's errors are errors");
      return error;
    }
  };
  const cause = failure(options);
  if (cause === undefined) return;
  const { crl: _, ...withoutCrl } = options;
  const isCrl = files.crl !== undefined && failure(withoutCrl) === undefined;
  const file = (isCrl ? files.crl : undefined) ?? files.certificate ?? files.ca;
  assert(file !== undefined, "without files there is nothing to refuse");
  if (isCrl) throw refusal(file, "is damaged or cut off: write the file again", cause);
  throw refusal(file, `cannot be used for TLS (${cause.message}): replace it`, cause);
}
