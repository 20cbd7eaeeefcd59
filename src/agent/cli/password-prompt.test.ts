import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { it } from "node:test";
import { readPassword } from "./password-prompt.ts";

/** A terminal on which these pieces are typed, and what it showed. */
function terminal(...pieces: readonly string[]) {
  const modes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (raw: boolean) => {
      modes.push(raw);
      const piece = raw ? pieces[modes.filter(Boolean).length - 1] : undefined;
      if (piece !== undefined) setImmediate(() => stdin.write(piece));
    },
  });
  const shown: string[] = [];
  const stderr = { write: (text: string) => shown.push(text) };
  const streams = { stdin, stderr } as unknown as Omit<
    Parameters<typeof readPassword>[0],
    "fromStdin"
  >;
  return { streams: { ...streams, fromStdin: false }, shown, modes };
}

it("a password is typed twice, shown never, and corrected with backspace", async () => {
  const { streams, shown, modes } = terminal("sekrex\u007ft\r", "sekret\n");
  assert.equal(await readPassword(streams), "sekret");
  assert.equal(shown.join(""), "Password: \nAgain: \n");
  assert.deepEqual(modes, [true, false, true, false]);
});

it("two that differ, none at all, and Ctrl-C give no password, and leave the terminal as it was", async () => {
  for (const [pieces, why] of [
    [["one\r", "two\r"], /differ/],
    [["\r"], /empty/],
    [["on\u0003"], /no password was given/],
  ] as const) {
    const { streams, modes } = terminal(...pieces);
    await assert.rejects(readPassword(streams), { name: "UsageError", message: why });
    assert.equal(modes.at(-1), false);
  }
});
