import assert from "node:assert/strict";
import { mkdirSync, mkdtempDisposableSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { weir } from "../../../test/support/weir-command.ts";

const program = ["--program", "/usr/local/bin/weir"];
const unit = "etc/systemd/system/weir.service";

function folder() {
  return mkdtempDisposableSync(join(tmpdir(), "weir-service-"));
}

test("it writes unit, user and configuration below a root, says so, and what is next", async () => {
  using root = folder();
  const first = await weir("install-service", ...program, "--root", root.path, "--user", "edge");
  assert.equal(first.code, 0, first.output);
  assert.match(first.out, /wrote \/etc\/systemd\/system\/weir.service\n/);
  assert.match(first.out, /wrote \/etc\/weir\/weir.yaml\n/);
  assert.match(first.out, /\n  systemctl enable --now weir\n/);
  assert.match(readFileSync(join(root.path, unit), "utf8"), /^User=edge$/m);
  assert.match(readFileSync(join(root.path, "etc/sysusers.d/weir.conf"), "utf8"), /^u edge - /m);
  const config = join(root.path, "etc/weir/weir.yaml");
  assert.equal(statSync(config).mode & 0o777, 0o640);
  assert.equal((await weir("check", "-c", config)).code, 0);

  writeFileSync(config, `${readFileSync(config, "utf8")}# mine\n`);
  const second = await weir("install-service", ...program, "--root", root.path);
  assert.match(second.out, /replaced \/etc\/systemd\/system\/weir.service\n/);
  assert.match(second.out, /kept \/etc\/weir\/weir.yaml\n/);
  assert.match(readFileSync(config, "utf8"), /# mine\n$/);
});

test("the service may write where the configuration says that the agent does", async () => {
  using root = folder();
  mkdirSync(join(root.path, "etc/default"), { recursive: true });
  mkdirSync(join(root.path, "srv"));
  writeFileSync(join(root.path, "etc/default/weir"), "WEIR_DISK=/mnt/ssd\n");
  writeFileSync(
    join(root.path, "srv/w.yaml"),
    [
      "version: 1",
      "data: ${WEIR_DISK}/weir",
      "sources: [{ name: p, topics: [p] }]",
      "uplinks: [{ file: { directory: out } }]",
    ].join("\n"),
  );
  const { code, output } = await weir(
    "install-service",
    ...program,
    "--root",
    root.path,
    "-c",
    "/srv/w.yaml",
  );
  assert.equal(code, 0, output);
  const text = readFileSync(join(root.path, unit), "utf8");
  assert.match(text, /^ExecStart=\/usr\/local\/bin\/weir run -c \/srv\/w.yaml$/m);
  assert.match(text, /^ReadWritePaths=\/mnt\/ssd\/weir\nReadWritePaths=\/srv\/out$/m);
  assert.match(output, /install --directory .* \/mnt\/ssd\/weir\n/);
});

test("--dry-run prints everything and writes nothing", async () => {
  using root = folder();
  const { code, out } = await weir("install-service", ...program, "--root", root.path, "--dry-run");
  assert.equal(code, 0);
  assert.match(out, /^# \/etc\/systemd\/system\/weir.service$/m);
  assert.match(out, /^WatchdogSec=/m);
  assert.throws(() => statSync(join(root.path, "etc")));
});

test("what the service could not see is refused with a way out, and shown all the same", async () => {
  using root = folder();
  const here = ["--program", "/tmp/weir", "--root", root.path];
  const refused = await weir("install-service", ...here);
  assert.equal(refused.code, 1);
  assert.match(
    refused.error,
    /does not see \/tmp: sudo install \/tmp\/weir \/usr\/local\/bin\/weir/,
  );
  const shown = await weir("install-service", ...here, "--dry-run");
  assert.equal(shown.code, 0);
  assert.match(shown.error, /warning: as it is, this would be refused: the service does not see/);
  assert.match(shown.out, /^ExecStart=\/tmp\/weir run/m);
  assert.match(shown.out, /\n  systemctl enable --now weir\n/);
  const hidden = await weir(
    "install-service",
    ...program,
    "--root",
    root.path,
    "-c",
    "/var/tmp/weir.yaml",
  );
  assert.equal(hidden.code, 1);
  assert.match(hidden.error, /does not see \/var\/tmp: move \/var\/tmp\/weir.yaml elsewhere/);
  mkdirSync(join(root.path, "usr/lib/systemd/system"), { recursive: true });
  writeFileSync(join(root.path, "usr/lib/systemd/system/weir.service"), "");
  const packaged = await weir("install-service", ...program, "--root", root.path);
  assert.match(packaged.error, /is there already .* systemctl edit weir changes it/);
});
