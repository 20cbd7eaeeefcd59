/**
 * A password from a person or a program: asked for twice on a terminal without showing it, or one
 * line of standard input. Never an argument: those are in the list of processes for all to see.
 */

import { UsageError } from "./command.ts";

const CHARACTERS_MAX = 1_024;

/** Without its line break. Throws a UsageError where there is none, or the two differ. */
export async function readPassword(options: {
  readonly fromStdin: boolean;
  readonly stdin?: NodeJS.ReadStream;
  readonly stderr?: NodeJS.WriteStream;
}): Promise<string> {
  const { fromStdin, stdin = process.stdin, stderr = process.stderr } = options;
  if (fromStdin) return checked(await firstLine(stdin));
  if (!stdin.isTTY) {
    throw new UsageError("there is no terminal to ask for the password: use --password-stdin");
  }
  const password = checked(await asked(stdin, stderr, "Password: "));
  if ((await asked(stdin, stderr, "Again: ")) === password) return password;
  throw new UsageError("the two passwords differ");
}

function checked(password: string): string {
  if (password === "") throw new UsageError("the password is empty");
  if (password.length > CHARACTERS_MAX) {
    throw new UsageError(`the password is longer than ${CHARACTERS_MAX} characters`);
  }
  return password;
}

async function firstLine(stdin: NodeJS.ReadStream): Promise<string> {
  let text = "";
  stdin.setEncoding("utf8");
  for await (const piece of stdin) {
    text += String(piece);
    if (text.includes("\n") || text.length > CHARACTERS_MAX) break;
  }
  return text.split(/\r?\n/)[0]!;
}

/** What is typed up to Enter; the terminal shows nothing of it. */
function asked(
  stdin: NodeJS.ReadStream,
  stderr: NodeJS.WriteStream,
  question: string,
): Promise<string> {
  stderr.write(question);
  stdin.setRawMode(true);
  stdin.setEncoding("utf8");
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const typed: string[] = [];
  const onData = (piece: string): void => {
    for (const character of piece) {
      if (character === "\r" || character === "\n") return resolve(typed.join(""));
      if (character === "\u0003" || character === "\u0004") {
        return reject(new UsageError("no password was given"));
      }
      if (character === "\u007f" || character === "\b") typed.pop();
      else typed.push(character);
    }
  };
  stdin.on("data", onData);
  stdin.resume();
  return promise.finally(() => {
    stdin.off("data", onData);
    stdin.pause();
    stdin.setRawMode(false);
    stderr.write("\n");
  });
}
