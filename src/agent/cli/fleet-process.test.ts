import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { test, type TestContext } from "node:test";

const module = new URL("./fleet-process.ts", import.meta.url).href;

/** A port that takes connections and says nothing: the fleet waits for it. */
async function silentBroker(t: TestContext) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on("error", () => undefined)));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { server, port: address.port };
}

async function orphans(t: TestContext, end: string): Promise<void> {
  const { server, port } = await silentBroker(t);
  const script = `
    import { startFleet } from ${JSON.stringify(module)};
    startFleet(["--port=${port}", "--devices=1", "--quiet"], { stdio: "ignore-output" });
    process.once("SIGUSR2", () => { ${end} });
    console.log("ready");
  `;
  const parent = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => parent.kill("SIGKILL"));
  const ready = once(parent.stdout, "data");
  let complaints = "";
  parent.stderr.setEncoding("utf8").on("data", (text: string) => (complaints += text));
  const [socket] = (await once(server, "connection")) as [Socket];
  await ready;
  const fleetIsGone = once(socket, "close");
  socket.resume();
  // The fleet holds the other end of stderr: it closes when both have gone.
  const bothAreGone = once(parent, "close");
  parent.kill(end === "" ? "SIGKILL" : "SIGUSR2");
  await Promise.all([fleetIsGone, bothAreGone]);
  assert.ok(!complaints.includes("No MQTT broker"), "it ended before it would have given up");
}

test("a fleet ends when its parent is killed with kill -9", { timeout: 30_000 }, async (t) => {
  await orphans(t, "");
});

test("a fleet ends when its parent crashes or leaves at once", { timeout: 30_000 }, async (t) => {
  await Promise.all([orphans(t, 'throw new Error("a bug")'), orphans(t, "process.exit(1)")]);
});
