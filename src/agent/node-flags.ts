/**
 * How Node is started for weir; docs/decisions/0003-memory.md says why. The npm scripts and the
 * first line of cli/main.ts repeat it, because they come before any code (a test compares).
 */
export const nodeFlags: readonly string[] = ["--max-semi-space-size=2", "--max-old-space-size=256"];
