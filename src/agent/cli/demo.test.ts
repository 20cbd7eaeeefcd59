import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempDisposableSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { weir } from "../../../test/support/weir-command.ts";

test("a port that somebody chose and another program has is an error that names it", async (t) => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-demo-"));
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const demo = ["demo", "--data", join(folder.path, "data"), "--seconds", "1"];
  for (const option of ["--port", "--http"] as const) {
    const { code, error } = await weir(...demo, option, String(port));
    assert.match(
      error,
      new RegExp(`another program listens on port ${port} \\(${option}\\); choose another$`, "m"),
    );
    assert.equal(code, 1);
  }
});
