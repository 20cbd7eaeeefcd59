import assert from "node:assert/strict";
import { test } from "node:test";
import { ownFile } from "./own-files.ts";
import { packagedData, unitText } from "./service-unit.ts";

const template = ownFile("weir.service");
const packaged = {
  command: ["/usr/bin/weir", "run", "-c", "/etc/weir/weir.yaml"],
  user: "weir",
  dataDirectory: packagedData,
  outputs: [],
};

const linesOf = (text: string): readonly string[] => text.split("\n");
const added = (text: string): readonly string[] =>
  linesOf(text).filter((line) => !linesOf(template).includes(line));

test("the unit of the Debian package is the one that is written for its own paths", () => {
  assert.equal(unitText(template, packaged), template);
});

test("another program, user and folders are said where systemd reads them", () => {
  const unit = unitText(template, {
    command: ["/opt/my weir/weir", "run", "-c", "/srv/50%/$a.yaml"],
    user: "edge",
    dataDirectory: "/mnt/ssd/weir",
    outputs: ["/var/lib/weir/out", '/mnt/"x"'],
  });
  assert.deepEqual(added(unit), [
    'RequiresMountsFor=/mnt/ssd/weir /var/lib/weir/out "/mnt/\\"x\\""',
    'ExecStart="/opt/my weir/weir" run -c "/srv/50%%/$$a.yaml"',
    "User=edge",
    "Group=edge",
    "ReadWritePaths=/mnt/ssd/weir",
    'ReadWritePaths="/mnt/\\"x\\""',
  ]);
});

test("memory that is written and then run is not forbidden: V8 needs it", () => {
  assert.ok(!/^MemoryDenyWriteExecute=/m.test(template));
});
