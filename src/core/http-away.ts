/**
 * Why no answer of HTTP came, as a clause with its remedy for a person. By the codes of Node, OpenSSL and
 * Node's parser of HTTP. What is done about certificates, whoever asks knows.
 */

export type TlsRemedies = {
  /** How to trust a certificate, or the authority that it is of. */
  readonly trust: string;
  /** How to ask by another name. */
  readonly name: string;
  /** How to show a certificate of one's own. */
  readonly own: string;
};

/** `isCut`: the connection was closed before the answer began. */
export function awayReasonOf(
  url: URL,
  { cause, isCut }: { readonly cause: unknown; readonly isCut: boolean },
  tls: TlsRemedies,
): string {
  if (isCut) {
    return `it closed the connection without an answer; if that stays so, ${portRemedyOf(url)}`;
  }
  if (!(cause instanceof Error)) return String(cause);
  const { message } = cause;
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  const known = reasons[code];
  if (known !== undefined) return known;
  if (code === "DEPTH_ZERO_SELF_SIGNED_CERT") {
    return `its certificate is signed by itself; ${tls.trust}`;
  }
  if (strangeAuthority.test(code)) {
    return `its certificate is of an authority that is not trusted; ${tls.trust}`;
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `its certificate is for ${namesIn(cause)}, not for ${url.hostname}; ${tls.name}`;
  }
  if (noTls.test(`${code} ${message.toUpperCase().replaceAll(" ", "_")}`)) {
    return `it speaks no TLS there; write http://${url.host}`;
  }
  if (code.startsWith("ERR_SSL_") || code === "EPROTO") {
    return `TLS failed (${code}); does it want a certificate? ${tls.own}`;
  }
  if (code.startsWith("HPE_")) return `what it says is no HTTP; ${portRemedyOf(url)}`;
  return message === "" ? code : message;
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there; is it running?",
  ENOTFOUND: "there is no host of that name",
  EAI_AGAIN: "no name server answers; is there a network?",
  EHOSTUNREACH: "there is no way to that host",
  ENETUNREACH: "there is no way to that network; is there a link?",
  ETIMEDOUT: "that host does not answer; is it on, and does a firewall let this port through?",
  ECONNRESET: "it closed the connection",
  CERT_HAS_EXPIRED: "its certificate has expired; renew it, or set the clock of this machine",
  CERT_NOT_YET_VALID: "its certificate is not valid yet; is the clock of this machine right?",
};

const strangeAuthority =
  /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|SELF_SIGNED_CERT_IN_CHAIN)$/;

/** What OpenSSL says of a server that answers a TLS greeting with something else. */
const noTls = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNKNOWN_PROTOCOL|HTTP_REQUEST/;

function portRemedyOf({ protocol, host }: URL): string {
  return protocol === "https:"
    ? `is that the port of its HTTP, not of its MQTT? without TLS write http://${host}`
    : `is that the port of its HTTP, not of its MQTT? with TLS write https://${host}`;
}

/** Of the certificate that Node found to be of others. */
function namesIn(cause: Error): string {
  const cert = "cert" in cause ? cause.cert : undefined;
  if (typeof cert !== "object" || cert === null || !("subjectaltname" in cert)) return "others";
  return String(cert.subjectaltname).slice(0, 200);
}
