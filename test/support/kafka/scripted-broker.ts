/**
 * Peers that a test writes itself, byte by byte, over real sockets: `peer` is any server, `broker`
 * answers Kafka's requests with the bodies it is given.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { requests } from "../../../src/sync/kafka/client/requests.ts";

export const apiVersions = 18;
export const saslHandshake = 17;
export const saslAuthenticate = 36;

export type Request = { readonly key: number; readonly correlation: number };

/** Says what the body of the answer is; undefined for none. */
export type Answers = (request: Request) => Uint8Array | undefined;

/** The address of a server that does this with each connection. */
export async function peer(t: TestContext, meet: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    meet(socket);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${await listening(server)}`;
}

/** The port of a server that now listens on 127.0.0.1. */
export async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return address.port;
}

/** The address of a broker that sends each answer through `write`. */
export async function broker(
  t: TestContext,
  answers: Answers,
  write: (socket: Socket, frame: Buffer) => void = (socket, frame) => socket.write(frame),
): Promise<string> {
  return await peer(t, (socket) => {
    let left: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      left = Buffer.concat([left, chunk]);
      while (left.length >= 4 && left.length >= 4 + left.readInt32BE(0)) {
        const request = { key: left.readInt16BE(4), correlation: left.readInt32BE(8) };
        // Whether tags follow the correlation id, in the versions that we speak.
        const flexible = !plain.has(request.key) && left.readInt16BE(6) >= 2;
        left = left.subarray(4 + left.readInt32BE(0));
        const body = answers(request);
        if (body !== undefined) write(socket, framed(request, body, flexible));
      }
    });
  });
}

const plain: ReadonlySet<number> = new Set([
  apiVersions,
  saslHandshake,
  requests.Produce.key,
  requests.Fetch.key,
  requests.ListOffsets.key,
  requests.AddPartitionsToTxn.key,
  requests.AddOffsetsToTxn.key,
  requests.EndTxn.key,
  requests.DescribeConfigs.key,
]);

function framed({ correlation }: Request, body: Uint8Array, flexible: boolean): Buffer {
  const head = Buffer.alloc(flexible ? 9 : 8);
  head.writeInt32BE(head.length - 4 + body.length, 0);
  head.writeInt32BE(correlation, 4);
  return Buffer.concat([head, body]);
}

/** As a broker of no cluster to speak of, which knows our versions. */
export function answerOf({ key }: Request): Uint8Array | undefined {
  if (key === apiVersions) return versionsAnswer(ownVersions());
  // Metadata v9: throttle, no brokers, cluster id "c", controller, no topics, rights, no tags.
  return key === requests.Metadata.key
    ? Buffer.from([0, 0, 0, 0, 1, 2, 0x63, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0])
    : undefined;
}

/** By the key of each request. */
export type Ranges = Readonly<Record<number, readonly [min: number, max: number]>>;

export function ownVersions(): Ranges {
  const all = Object.values(requests).map(({ key, version }) => [key, [0, version]] as const);
  return { ...Object.fromEntries(all), [saslAuthenticate]: [0, 2] };
}

export function versionsAnswer(ranges: Ranges): Uint8Array {
  const entries = Object.entries(ranges);
  const answer = Buffer.alloc(2 + 4 + 6 * entries.length + 4);
  answer.writeInt32BE(entries.length, 2);
  entries.forEach(([key, [min, max]], i) => {
    answer.writeInt16BE(Number(key), 6 + 6 * i);
    answer.writeInt16BE(min, 8 + 6 * i);
    answer.writeInt16BE(max, 10 + 6 * i);
  });
  return answer;
}
