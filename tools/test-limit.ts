/**
 * Loaded into every test process. node:test waits for ever for a file whose tests are over but
 * whose timers, sockets or children are still open; this ends it and says what was left.
 */

const fileMsMax = 900_000;

setTimeout(() => {
  const open = process.getActiveResourcesInfo().join(", ");
  console.error(`${process.argv[1]}: still running after ${fileMsMax / 1000} s; open: ${open}`);
  process.exit(1);
}, fileMsMax).unref();
