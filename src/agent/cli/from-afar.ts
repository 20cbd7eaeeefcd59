/** Configuration from afar, as `weir run` has it: what is known of it, and the channels it comes by. */

import type { Config } from "../config/config.ts";
import { systemClock } from "../doors/clock.ts";
import { systemDisk } from "../doors/disk.ts";
import { systemNet } from "../doors/net.ts";
import { systemRandom } from "../doors/random.ts";
import type { Channel } from "../remote/channel.ts";
import type { RemoteConfiguration } from "../remote/remote.ts";
import { dataPaths } from "../start.ts";
import type { Status } from "../status.ts";
import { checkFiles } from "./checked-files.ts";
import { parseFile } from "./configured.ts";
import type { Say } from "./journal.ts";

export type FromAfar = AsyncDisposable & {
  readonly remote: RemoteConfiguration;
  readonly status: Status["remote"];
};

/** Undefined where the local file has no `remote` section: then nothing of it is loaded. */
export async function openFromAfar(
  local: Config,
  { file, say }: { readonly file: string; readonly say: Say },
): Promise<FromAfar | undefined> {
  if (local.remote === undefined) return undefined;
  const { openRemote } = await import("../remote/remote.ts");
  const { openChannels } = await import("../remote/channels.ts");
  const clock = systemClock();
  const remote = await openRemote({
    disk: systemDisk,
    clock,
    directory: dataPaths(local.dataDirectory).remote,
    local,
    parse: (overlay) => parseFile(file, overlay),
    problemsOf: async (config) => (await checkFiles(config)).problems,
    say,
  });
  const channels: readonly Channel[] = await openChannels(local, {
    net: systemNet(),
    clock,
    random: systemRandom(),
    offer: (offer) => remote.offer(offer),
  });
  return {
    remote,
    get status() {
      return { ...remote.status, channels: channels.map(({ status }) => status) };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(channels.map((channel) => channel.close()));
    },
  };
}
