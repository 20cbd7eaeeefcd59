/**
 * Doors: the only ways to the outside. Nothing in src but src/agent/doors touches time, chance,
 * files or the network, so the whole agent runs against simulated doors, in one thread, from one
 * seed.
 */

import type { Millis } from "./units.ts";

export interface Clock {
  /** Wall clock; may step in both directions. */
  now(): Millis;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number;
  /** Calls `run` once after about `delayMs`, which is 0 or more; the result cancels it. */
  after(delayMs: number, run: () => void): () => void;
  /** Calls `run` once when the bytes that are already waiting have been received. */
  soon(run: () => void): void;
}

export interface Random {
  /** An integer in [0, 2^32). */
  uint32(): number;
}

/** An open file. One write or sync at a time; the caller orders them. */
export interface DiskFile {
  /** Fills `target` from byte `offset`; resolves to the bytes read, fewer only at the end. */
  read(target: Uint8Array, offset: number): Promise<number>;
  /** Writes all of `source` at byte `offset`. The caller leaves `source` alone until it resolves. */
  write(source: Uint8Array, offset: number): Promise<void>;
  /** fdatasync. After a rejection nothing is known about what reached the medium. */
  sync(): Promise<void>;
  size(): Promise<number>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** Paths are absolute. Rejections carry a Node-style `code` (ENOENT, ENOSPC, EROFS, EIO, ...). */
export interface Disk {
  /** Opens for reading and writing; `create` makes a missing file. */
  open(path: string, options: { readonly create: boolean }): Promise<DiskFile>;
  list(directory: string): Promise<readonly string[]>;
  /** Makes the directory and its parents. */
  makeDirectory(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes renames, creations and removals in the directory durable. */
  syncDirectory(path: string): Promise<void>;
  freeBytes(path: string): Promise<number>;
}

/** Keys from `from`, below `to`, the first `limit` of them. */
export type KvRange = {
  readonly from: string;
  readonly to: string;
  readonly limit?: number;
  /** Is told of values that are damaged, which are left out then; without it they are a fault. */
  readonly onDamaged?: (key: string) => void;
};

/** One change of a commit; `value: undefined` removes the key. */
export type KvWrite = { readonly key: string; readonly value: Uint8Array | undefined };

/**
 * Small, mutable, transactional state. Keys are ASCII strings of at most 200 characters, ordered by
 * their bytes. One commit at a time; reads see the last resolved commit.
 */
export interface Kv {
  /** A copy the caller owns, or undefined. */
  get(key: string): Uint8Array | undefined;
  /** Entries with `from <= key < to` in key order, copies the caller owns, at most `limit`. */
  range(range: KvRange): readonly { readonly key: string; readonly value: Uint8Array }[];
  /**
   * Applies all writes in one durable transaction, or none. The store may read the buffers at any
   * time until the promise settles: the caller gives frozen copies and never touches them again.
   */
  commit(writes: readonly KvWrite[]): Promise<void>;
  close(): Promise<void>;
}

export interface NetHandlers {
  /** `bytes.subarray(0, length)` is valid only during the call. */
  readonly onBytes: (bytes: Uint8Array, length: number) => void;
  /** Everything written so far has left our buffers. */
  readonly onDrain: () => void;
  /** Called exactly once, last. `reason` is empty after an orderly end. */
  readonly onClose: (reason: string) => void;
}

export type NetAddress = { readonly host: string; readonly port: number };

/** A listener that speaks TLS. Files are PEM, named by absolute paths, and read again when they change. */
export type TlsListen = {
  /** Its certificate, and those of the authorities between it and a known one. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** The authorities that sign clients' certificates. */
  readonly clientCaFile?: string;
  /** Without `clientCaFile` it is `none`. */
  readonly clientCertificate: "none" | "optional" | "required";
  /** Revoked certificates: a list of each authority in `clientCaFile`. */
  readonly crlFile?: string;
};

/** A connection that speaks TLS. Files are PEM, named by absolute paths, and read at each connection. */
export type TlsConnect = {
  /** The authorities to trust; those that come with Node where it is left out. */
  readonly caFile?: string;
  /** A client certificate and its key: both or neither. */
  readonly certificateFile?: string;
  readonly keyFile?: string;
  /** The name in the server's certificate, if it is not the host. */
  readonly serverName?: string;
};

/** MQTT over WebSocket: subprotocol "mqtt", binary frames, on one path. */
export type WebSocketListen = {
  readonly path: string;
  /** Sites whose pages may connect, as `https://host:port`; pages of this host's own address always may. */
  readonly allowedOrigins?: readonly string[];
};

export type ListenAddress = NetAddress & {
  readonly tls?: TlsListen;
  readonly webSocket?: WebSocketListen;
};

export type ConnectAddress = NetAddress & {
  readonly tls?: TlsConnect;
  readonly webSocket?: { readonly path: string };
};

/**
 * What a connection of ours goes over, as far as its bytes are counted and held back: those on the TCP
 * socket, TLS and its handshake among them (src/sync/link).
 */
export interface Wire {
  /** The address of this machine to connect from; undefined: the system chooses. */
  readonly localAddress: string | undefined;
  /** Bytes are sent in pieces of at most so many. */
  readonly pieceBytesMax: number;
  /** Calls `go` once, now or later, when so many bytes may be sent: from then on they count. */
  send(bytes: number, go: () => void): () => void;
  /** So many bytes came. */
  received(bytes: number): void;
}

export interface NetSocket {
  /** "address:port" of the peer. */
  readonly remote: string;
  /** Common name of the verified client certificate of a peer that connected to us. */
  readonly certificateName: string | undefined;
  /** Bytes accepted by `write` that the kernel has not taken yet. */
  readonly queuedBytes: number;
  /** Must be called once, in the turn in which the socket was given: before the first byte can arrive. */
  start(handlers: NetHandlers): void;
  /** Takes ownership of `bytes`: they are not changed afterwards. */
  write(bytes: Uint8Array): void;
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

export interface NetListener {
  readonly host: string;
  readonly port: number;
  /** Peers that could not be accepted so far (no file descriptor left); they try again. */
  readonly acceptErrors: number;
  /** TLS handshakes and WebSocket upgrades; undefined where peers need none. */
  readonly handshakes: HandshakeStatus | undefined;
  /** Stops accepting; sockets that are open stay open. */
  close(): Promise<void>;
}

/** What became of peers that are not given out before they are through. All but `underWay` only grow. */
export type HandshakeStatus = {
  /** Now. */
  readonly underWay: number;
  /** Closed because too many were under way, or came from their address of late. */
  readonly crowdedOut: number;
  /** Closed because they took too long. */
  readonly timedOut: number;
  /** Closed for what they sent, or did not send. */
  readonly refused: number;
  /** The last of those that were refused, and why. */
  readonly lastRefusal: string | undefined;
};

/** A certificate of ours that is in use. */
export type CertificateStatus = {
  readonly file: string;
  /** It, or one that stands behind it in its file, is valid until then. */
  readonly expires: Millis;
  /** Times it was replaced while we ran. */
  readonly reloads: number;
  /** Times its files, or those that come with it, had changed and could not be used. */
  readonly reloadFailures: number;
  /** Why the files that are there now are not in use. */
  readonly trouble: string | undefined;
};

export interface Net {
  /**
   * `port: 0` takes a free one. Rejects with a Fault: PORT_IN_USE, ADDRESS_UNAVAILABLE,
   * TLS_FILE_UNUSABLE.
   */
  listen(address: ListenAddress, accept: (socket: NetSocket) => void): Promise<NetListener>;
  /**
   * Opens a connection, TLS and WebSocket included, within `waitMs`; over `wire` where there is one.
   * Rejects with a Fault: CONNECT_FAILED, TLS_FILE_UNUSABLE.
   */
  connect(
    address: ConnectAddress,
    options: { readonly waitMs: number; readonly wire?: Wire | undefined },
  ): Promise<NetSocket>;
  /** Certificates that listeners use, and those we showed when we connected. */
  certificates(): readonly CertificateStatus[];
}

/** What a block device has been given to write since the machine started. */
export type DeviceWrites = {
  readonly device: string;
  /** Another one after each start of the machine, when the count begins at 0. */
  readonly bootId: string;
  readonly bytes: number;
};

/** What a password costs to hash. Memory is 128 * `cost` * `blockSize` bytes. Source: RFC 7914. */
export type ScryptCost = {
  /** A power of two. */
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelism: number;
};

/** Work with secrets: without chance or time, but with more CPU than the loop can spare. */
export interface Hashing {
  /** The key of a password, `bytes` long, computed beside the loop. */
  scrypt(
    password: Uint8Array,
    options: ScryptCost & { readonly salt: Uint8Array; readonly bytes: number },
  ): Promise<Uint8Array>;
  /** HMAC-SHA-256 of all parts in order, 32 bytes. */
  mac(key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array;
  /** Whether two keys are the same, in a time that does not tell where they differ. */
  isEqual(one: Uint8Array, other: Uint8Array): boolean;
}
