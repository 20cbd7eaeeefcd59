/**
 * Our options in the client's terms, with three repairs: a token refused by the broker is told by
 * bytes of its own rather than by an error, a malformed SCRAM answer is thrown where nobody catches
 * it, and a login that holds for longer than a timer can wait is renewed without a pause.
 */

import type { Socket } from "node:net";
import type { ClusterOptions, SaslOptions, TlsOptions } from "./cluster-options.ts";
import {
  bufferOver,
  type Connection,
  type ConnectionOptions,
  type Protocol,
  type SASLCustomAuthenticator,
  type SASLOptions,
} from "./protocol.ts";

export function connectionOptions(
  { connectTimeoutMs, requestTimeoutMs, sasl, tls }: ClusterOptions,
  {
    host,
    protocol,
    socket,
  }: {
    /** As the broker is named, wherever it is reached. */
    readonly host: string;
    readonly protocol: Protocol;
    /** What TLS is spoken on; undefined: one of the client's own. */
    readonly socket: Socket | undefined;
  },
): ConnectionOptions {
  return {
    connectTimeout: connectTimeoutMs,
    requestTimeout: requestTimeoutMs,
    ...(sasl === undefined ? {} : { sasl: saslOf(sasl, protocol) }),
    ...(tls === undefined
      ? {}
      : { tls: { ...tlsOf(tls, host), ...(socket === undefined ? {} : { socket }) } }),
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
  const authenticate = authenticatorOf(sasl, protocol);
  if (sasl.mechanism !== "OAUTHBEARER") return { ...sasl, authenticate };
  const { mechanism, token } = sasl;
  return { mechanism, token, authenticate, authBytesValidator: acceptOnlySilence(protocol) };
}

/** RFC 7628, 3.2.2: a broker that takes the token says nothing; otherwise it says why in JSON. */
function acceptOnlySilence(protocol: Protocol): NonNullable<SASLOptions["authBytesValidator"]> {
  return (bytes, callback) => {
    if (bytes.length === 0) callback(null, bytes);
    else callback(new protocol.AuthenticationError("the broker did not accept the token"));
  };
}

function authenticatorOf(
  sasl: SaslOptions,
  { saslPlain, saslScramSha, saslOAuthBearer, AuthenticationError }: Protocol,
): SASLCustomAuthenticator {
  return (mechanism, connection, ask, user = "", password = "", token = "", callback) => {
    const done = renewedInTime(callback);
    if (sasl.mechanism === "PLAIN") {
      saslPlain.authenticate(ask, connection, user, password, done);
    } else if (sasl.mechanism === "OAUTHBEARER") {
      saslOAuthBearer.authenticate(ask, connection, token, sasl.extensions ?? {}, done);
    } else {
      const refuse = (): void =>
        done(new AuthenticationError("the broker's SCRAM answer makes no sense"));
      const hash = mechanism === "SCRAM-SHA-512" ? "SHA-512" : "SHA-256";
      const { authenticate, defaultCrypto } = saslScramSha;
      const guarded = guardedBy(ask, refuse);
      authenticate(guarded, connection, hash, user, password, defaultCrypto, done);
    }
  };
}

type Ask = Parameters<SASLCustomAuthenticator>[2];
type Done = Parameters<SASLCustomAuthenticator>[6];

/** What is thrown by the one who reads an answer is an answer refused. */
function guardedBy(ask: Ask, refuse: () => void): Ask {
  const guarded = (to: Connection, bytes: Buffer, done?: Done): void =>
    ask(to, bytes, (error, answer) => {
      try {
        done?.(error, answer);
      } catch {
        refuse();
      }
    });
  return Object.assign(guarded, { async: ask.async, key: ask.key, version: ask.version });
}

/** Above this a timer fires at once. */
const timerMsMax = 2n ** 31n - 1n;

/** The client logs in again after most of the session's lifetime, which may be that of a token. */
function renewedInTime(callback: Done): Done {
  return (error, answer) => {
    const isLong = answer !== undefined && answer.sessionLifetimeMs > timerMsMax;
    callback(error, isLong ? { ...answer, sessionLifetimeMs: timerMsMax } : answer);
  };
}
