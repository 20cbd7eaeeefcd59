import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { Turns } from "../../core/turns.ts";
import { StreamSocket, takeHandle } from "./stream-socket.ts";

test("a socket whose peer ended is closed when its turn comes, not all of one instant at once", async () => {
  const nextTurns: (() => void)[] = [];
  const ended = new Turns({ perTurnMax: 1, soon: (run) => nextTurns.push(run) });
  const closed = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let closes = 0;
  const server = createServer({ pauseOnConnect: true }, (accepted: Socket) => {
    new StreamSocket(accepted, { handleOf: takeHandle, ended }).start({
      onBytes: () => undefined,
      onDrain: () => undefined,
      onClose: () => closed[closes++]!.resolve(),
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const clients = [connect(address.port, "127.0.0.1"), connect(address.port, "127.0.0.1")];
  await Promise.all(clients.map((client) => once(client, "connect")));
  for (const client of clients) client.end();

  await closed[0]!.promise;
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(closes, 1);
  for (const run of nextTurns.splice(0)) run();
  await closed[1]!.promise;
  for (const client of clients) client.destroy();
  server.close();
});
