/** What goes wrong in TLS, as sentences that say what to do. Codes are those of Node and OpenSSL. */

import { limits } from "../../core/limits.ts";
import { clockHint, portalHint } from "../../core/strangers.ts";

const strangers = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE",
  "INVALID_CA",
]);

/** Why a server that we connect to is not, or did not want, what we expect; undefined: not for TLS. */
export function serverReason(
  error: Error,
  { nowMs, ownCertificate }: { readonly nowMs: number; readonly ownCertificate: boolean },
): string | undefined {
  const code = codeOf(error);
  const isUnset = nowMs < limits.clockFloorMs;
  const clock = clockHint(nowMs, `${new Date(nowMs).toISOString().slice(0, 19)}Z`);
  if (code === "CERT_HAS_EXPIRED") {
    return `its certificate has expired, and ${clock}${isUnset ? "" : ": renew it there, unless the clock is ahead"}`;
  }
  if (code === "CERT_NOT_YET_VALID") {
    return `its certificate is not yet valid, and ${clock}${isUnset ? "" : ": is that right? Set the clock"}`;
  }
  if (strangers.has(code)) {
    return `its certificate comes from an authority that is not known here: set tls.ca to the authority's file; ${portalHint}`;
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const whose = namesOf(error) ?? "another name";
    return `its certificate is for ${whose}: connect to a name of the certificate, or set tls.serverName; ${portalHint}`;
  }
  if (
    /ALERT_(BAD_CERT|CERTIFICATE_|HANDSHAKE_FAIL|UNKNOWN_CA|UNSUPPORTED_CERT|ACCESS_DENIED)/.test(
      code,
    )
  ) {
    return ownCertificate
      ? "it refused our client certificate: check tls.certificate and tls.key, and which authorities it knows"
      : "it wants a client certificate: set tls.certificate and tls.key";
  }
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|RECORD_LAYER/.test(code)) {
    return `it speaks no TLS on this port: use its port for TLS, or leave TLS out; ${portalHint}`;
  }
  if (/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION/.test(code)) {
    return "it speaks only TLS older than 1.2: update it";
  }
  if (/^ERR_(SSL|TLS|OSSL)/.test(code)) return `the TLS handshake failed: ${plain(error)}`;
  return undefined;
}

/** Why a peer that connected to us was refused; undefined: it just left. */
export function clientReason(error: Error): string | undefined {
  const code = codeOf(error);
  if (code === "ERR_SSL_HTTP_REQUEST") return "it spoke HTTP where TLS is spoken";
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNKNOWN_PROTOCOL|RECORD_LAYER/.test(code)) {
    return "it spoke no TLS: its address may want mqtts:// or wss://";
  }
  if (/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|NO_SHARED_CIPHER|INAPPROPRIATE_FALLBACK/.test(code)) {
    return "it speaks only TLS older than 1.2, or no cipher of ours: update it";
  }
  if (/ALERT_(UNKNOWN_CA|BAD_CERT|CERTIFICATE_)/.test(code)) {
    return "it does not trust our certificate: give it the authority's file, and connect to a name of the certificate";
  }
  return /^ERR_(SSL|TLS|OSSL)/.test(code) ? `the TLS handshake failed: ${plain(error)}` : undefined;
}

/** Why a client certificate was refused, by the code of its verification. */
export function certificateReason(code: string): string {
  if (strangers.has(code)) return "its certificate comes from an authority that is not in clientCa";
  return reasons[code] ?? `its certificate was refused (${code})`;
}

const reasons: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not yet valid: is this gateway's clock right?",
  CERT_REVOKED: "its certificate was revoked",
  CRL_HAS_EXPIRED: "the list of revoked certificates (crl) has expired: renew it",
  CRL_NOT_YET_VALID: "the list of revoked certificates (crl) is not yet valid",
  UNABLE_TO_GET_CRL: "crl has no list of the authority that signed its certificate",
  CRL_SIGNATURE_FAILURE: "the list of revoked certificates (crl) is not signed by its authority",
  INVALID_PURPOSE: "its certificate is not one for clients",
};

/** The names in the certificate of a server that is another. */
function namesOf(error: Error): string | undefined {
  const certificate: unknown = "cert" in error ? error.cert : undefined;
  if (typeof certificate !== "object" || certificate === null) return undefined;
  if (!("subjectaltname" in certificate)) return undefined;
  return typeof certificate.subjectaltname === "string" ? certificate.subjectaltname : undefined;
}

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : "";
}

/** OpenSSL's own words, without its numbers and places. */
function plain(error: Error): string {
  if ("reason" in error && typeof error.reason === "string") return error.reason;
  return error.message.split("\n")[0] ?? "";
}
