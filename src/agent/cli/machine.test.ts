import assert from "node:assert/strict";
import { test } from "node:test";
import { machineTrouble } from "./machine.ts";

test("a 32-bit system is refused with what to take instead, a 64-bit one is not", () => {
  assert.match(machineTrouble("arm") ?? "", /32-bit system \(arm\).*64-bit Raspberry Pi OS/);
  for (const architecture of ["arm64", "x64", "riscv64", process.arch]) {
    assert.equal(machineTrouble(architecture), undefined);
  }
});
