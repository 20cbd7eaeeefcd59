/** Configuration from afar, as `weir run` has it: what is known of it, and the channels it comes by. */

import type { Config } from "../config/config.ts";
import { systemClock } from "../doors/clock.ts";
import { makeDataDirectory } from "../doors/data-directory.ts";
import { lockDirectories } from "../doors/directory-lock.ts";
import { systemDisk } from "../doors/disk.ts";
import { systemNet } from "../doors/net.ts";
import { systemRandom } from "../doors/random.ts";
import type { Channel } from "../remote/channel.ts";
import type { RemoteConfiguration } from "../remote/remote.ts";
import { dataPaths } from "../start.ts";
import type { Status } from "../status.ts";
import { checkFiles } from "./checked-files.ts";
import { parseText } from "./configured.ts";
import type { Say } from "./journal.ts";

export type FromAfar = AsyncDisposable & {
  readonly remote: RemoteConfiguration;
  readonly status: Status["remote"];
  /**
   * An agent listens: from the first one on configurations are read. Not before, because its own broker may
   * be where they lie, and none is judged while no agent runs.
   */
  readonly listens: () => void;
};

/**
 * `text` is that of the file when `local` was read. Undefined where the local file has no `remote` section: then nothing of it is loaded. What is known is
 * this process's alone until the end. Before its disk is there nothing is known: the caller waits for it.
 * Faults: DIRECTORY_IN_USE, DIRECTORY_NOT_WRITABLE, DISK_FULL, those of `openRemote`.
 */
export async function openFromAfar(
  local: Config,
  { file, text, say }: { readonly file: string; readonly text: string; readonly say: Say },
): Promise<FromAfar | undefined> {
  if (local.remote === undefined) return undefined;
  const { openRemote } = await import("../remote/remote.ts");
  const { openChannels } = await import("../remote/channels.ts");
  const { newEndpoints } = await import("../remote/probe.ts");
  const net = systemNet();
  const clock = systemClock();
  const { dataDirectory } = local;
  const directory = dataPaths(dataDirectory).remote;
  await using opened = new AsyncDisposableStack();
  opened.defer(await lockKnown(dataDirectory));
  const remote = await openRemote({
    disk: systemDisk,
    clock,
    directory,
    local,
    // Not the file as it is by then: a document would apply what somebody is still writing there.
    parse: (overlay) => parseText(text, file, overlay),
    problemsOf: async (config) => (await checkFiles(config)).problems,
    endpointsOf: (before, now) => newEndpoints(before, now, net),
    say,
  });
  const channels: readonly Channel[] = await openChannels(local, {
    net,
    clock,
    random: systemRandom(),
    offer: (offer) => remote.offer(offer),
  });
  const unlock = opened.move();
  return {
    remote,
    get status() {
      return { ...remote.status, channels: channels.map(({ status }) => status) };
    },
    listens: () => {
      for (const channel of channels) channel.start();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(channels.map((channel) => channel.close()));
      await unlock.disposeAsync();
    },
  };
}

/**
 * A second process would count its starts against a trial of the first, and then roll it back. The agent's
 * own lock is too late for that, and it is released between one agent and the next. It is on the directory
 * that an agent can use: one that is not there yet, or lies under the place where its disk is mounted later,
 * has nothing to lock. The folder that is known of need not be there: a full disk, or a file in its place,
 * keeps it from being made.
 */
async function lockKnown(dataDirectory: string): Promise<() => Promise<void>> {
  await makeDataDirectory([dataDirectory]);
  const inUse = `another weir is using ${dataDirectory}; stop it, or set another data directory`;
  return await lockDirectories([{ directory: dataDirectory, part: "remote", inUse }]);
}
