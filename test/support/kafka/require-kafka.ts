/** What a test with a real broker needs: java, the jars, and kcat to look from outside. */

import type { TestContext } from "node:test";
import { lacking, requireTool } from "../require-tool.ts";
import { hasJars, type JarSet, javaLack } from "./jars.ts";

/**
 * Whether brokers can be started; otherwise the test is skipped, or failed where everything is
 * required. `if (!requireKafka(t)) return;`
 *
 * @param sets the jars that the test uses: versions of the broker, "reader" for the Java consumer.
 *   By default those of `startKafka()` without options: none where WEIR_TEST_KAFKA names a broker
 */
export function requireKafka(t: TestContext, sets: readonly JarSet[] = setsByDefault()): boolean {
  if (!requireTool(t, "kcat")) return false;
  const lack = sets.length === 0 ? undefined : kafkaLack(sets);
  if (lack === undefined) return true;
  lacking(t, `needs a Kafka broker, and ${lack}`);
  return false;
}

function setsByDefault(): readonly JarSet[] {
  return process.env["WEIR_TEST_KAFKA"] === undefined ? ["3.9"] : [];
}

function kafkaLack(sets: readonly JarSet[]): string | undefined {
  const java = javaLack();
  if (java !== undefined) return `${java} (Debian package openjdk-17-jre-headless)`;
  const missing = sets.filter((set) => !hasJars(set));
  if (missing.length === 0) return undefined;
  return `its jars (${missing.join(", ")}) were not fetched (npm test does, where mvn is present)`;
}
