import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { nodeVersion } from "../parts.ts";
import { dockerfile, lintOf, readStages, stagesOf } from "./dockerfile.ts";

const stages = readStages();
const image = stages.at(-1)!;
const ofImage = (keyword: string) => image.steps.filter((step) => step.keyword === keyword);

test("a linter finds nothing in the Dockerfile, and would", () => {
  assert.deepEqual(lintOf(readFileSync(dockerfile, "utf8")), []);
  assert.deepEqual(lintOf("FROM a:1\nRUNN b\n"), ["line 2: Unknown instruction: RUNN"]);
});

test("steps are read with their flags, continued lines and arrays", () => {
  const [stage] = stagesOf(
    'FROM a:1 AS b\nCOPY --from=c --chmod=0755 d \\\n  e\nCMD ["f", "g h"]\n',
  );
  assert.equal(stage!.name, "b");
  const [copy, cmd] = stage!.steps;
  assert.deepEqual([copy!.flags, copy!.words], [{ from: "c", chmod: "0755" }, ["d", "e"]]);
  assert.deepEqual([cmd!.words, cmd!.isJson], [["f", "g h"], true]);
});

test("the image needs no shell, and has no root", () => {
  assert.equal(image.image, "scratch");
  assert.deepEqual(ofImage("RUN"), []);
  for (const keyword of ["ENTRYPOINT", "CMD", "HEALTHCHECK"]) {
    assert.deepEqual(
      ofImage(keyword).map(({ isJson }) => isJson),
      [true],
      keyword,
    );
  }
  assert.match(ofImage("USER")[0]?.words[0] ?? "", /^[1-9]\d*:[1-9]\d*$/);
  assert.deepEqual(ofImage("VOLUME")[0]?.words, ["/var/lib/weir"]);
});

test("bases are pinned, and Node is the packed one", () => {
  const bases = stages.map((stage) => stage.image).filter((base) => base !== "scratch");
  for (const base of bases) assert.match(base, /^[a-z]+:[a-z]*-?\d[\w.]{4,}(-[a-z]+)*$/);
  assert.ok(bases.some((base) => base.startsWith(`node:${nodeVersion}-`)));
});
