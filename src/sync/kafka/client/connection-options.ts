/**
 * Our options in the client's terms, with two repairs: a token refused by the broker is told by
 * bytes of its own rather than by an error, and a malformed SCRAM answer is thrown where nobody
 * catches it.
 */

import type { ClusterOptions, SaslOptions, TlsOptions } from "./cluster-options.ts";
import {
  bufferOver,
  type ConnectionOptions,
  type Protocol,
  type SASLCustomAuthenticator,
  type SASLOptions,
} from "./protocol.ts";

export function connectionOptions(
  { connectTimeoutMs, requestTimeoutMs, sasl, tls }: ClusterOptions,
  { host, protocol }: { readonly host: string; readonly protocol: Protocol },
): ConnectionOptions {
  return {
    connectTimeout: connectTimeoutMs,
    requestTimeout: requestTimeoutMs,
    ...(sasl === undefined ? {} : { sasl: saslOf(sasl, protocol) }),
    ...(tls === undefined ? {} : { tls: tlsOf(tls, host) }),
  };
}

function tlsOf(tls: TlsOptions, host: string): NonNullable<ConnectionOptions["tls"]> {
  const { ca, cert, key, keyPassphrase } = tls;
  const serverName = tls.serverName ?? nameOf(host);
  return {
    ...(ca === undefined ? {} : { ca: bufferOver(ca) }),
    ...(cert === undefined ? {} : { cert: bufferOver(cert) }),
    ...(key === undefined ? {} : { key: bufferOver(key) }),
    ...(keyPassphrase === undefined ? {} : { passphrase: keyPassphrase }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/**
 * What a broker behind others is told apart by (SNI), and what its certificate is checked for; without
 * it the address is. RFC 6066, 3: neither an address nor a dot at the end.
 */
function nameOf(host: string): string | undefined {
  const isAddress = host.includes(":") || /^\d+(\.\d+){3}$/.test(host);
  return isAddress ? undefined : host.replace(/\.$/, "");
}

function saslOf(sasl: SaslOptions, protocol: Protocol): SASLOptions {
  switch (sasl.mechanism) {
    case "PLAIN":
      return sasl;
    case "SCRAM-SHA-256":
    case "SCRAM-SHA-512":
      return { ...sasl, authenticate: scramAuthenticator(protocol) };
    case "OAUTHBEARER": {
      const { mechanism, token, extensions } = sasl;
      return {
        mechanism,
        token,
        ...(extensions === undefined ? {} : { oauthBearerExtensions: extensions }),
        authBytesValidator: acceptOnlySilence(protocol),
      };
    }
  }
}

/** RFC 7628, 3.2.2: a broker that takes the token says nothing; otherwise it says why in JSON. */
function acceptOnlySilence(protocol: Protocol): NonNullable<SASLOptions["authBytesValidator"]> {
  return (bytes, callback) => {
    if (bytes.length === 0) callback(null, bytes);
    else callback(new protocol.AuthenticationError("the broker did not accept the token"));
  };
}

/** SCRAM as the client does it, but a broker's nonsense is a refused login and not an exception. */
function scramAuthenticator({
  saslScramSha,
  AuthenticationError,
}: Protocol): SASLCustomAuthenticator {
  return (mechanism, connection, ask, username, password, _token, callback) => {
    const guarded: typeof ask = Object.assign(
      (to: typeof connection, bytes: Buffer, done?: typeof callback): void =>
        ask(to, bytes, (error, answer) => {
          try {
            done?.(error, answer);
          } catch {
            callback(new AuthenticationError("the broker's SCRAM answer makes no sense"));
          }
        }),
      { async: ask.async, key: ask.key, version: ask.version },
    );
    const hash = mechanism === "SCRAM-SHA-512" ? "SHA-512" : "SHA-256";
    const { authenticate, defaultCrypto } = saslScramSha;
    authenticate(
      guarded,
      connection,
      hash,
      username ?? "",
      password ?? "",
      defaultCrypto,
      callback,
    );
  };
}
