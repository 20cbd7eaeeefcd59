/** LMDB, whose native part comes out of the packed file: a commit, and all of it after reopening. */

import { join } from "node:path";
import { openKvLmdb } from "../../../store/state/kv-lmdb.ts";
import { expect } from "./expect.ts";

const values = 1_000;
const bytesMax = 16_777_216; // 16 MiB

export async function stateStore(directory: string): Promise<string> {
  const path = join(directory, "selftest.mdb");
  const kv = openKvLmdb({ path, bytesMax });
  const numbers = Array.from({ length: values }, (_, number) => number);
  await kv.commit(numbers.map((number) => ({ key: keyOf(number), value: Uint8Array.of(number) })));
  await kv.close();
  const again = openKvLmdb({ path, bytesMax });
  try {
    const found = again.range({ from: keyOf(0), to: keyOf(values) });
    expect(found.length === values, `LMDB has ${found.length} of ${values} values after reopening`);
    const wrong = found.find(({ value }, number) => value[0] !== number % 256);
    expect(wrong === undefined, `LMDB gives another value under ${wrong?.key}`);
  } finally {
    await again.close();
  }
  return `LMDB has ${values} values after reopening`;
}

function keyOf(number: number): string {
  return `selftest/${String(number).padStart(6, "0")}`;
}
