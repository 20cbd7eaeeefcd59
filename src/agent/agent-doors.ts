/** All that an agent touches of the world; see core/doors.ts. */

import type { Clock, DeviceWrites, Disk, Hashing, Kv, Net, Random } from "../core/doors.ts";
import type { HttpDoor } from "./doors/http-client.ts";
import type { KafkaDoor } from "./doors/kafka.ts";
import type { UsersFileDoor } from "./ingest/mqtt/access/users-watch.ts";

export type Doors = {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly net: Net;
  readonly kv: Kv;
  readonly hashing: Hashing;
  /** Each only where an uplink goes there. */
  readonly kafka?: KafkaDoor;
  readonly http?: HttpDoor;
  /** What was written to the device of the data directory; absent: nobody counts. */
  readonly readDeviceWrites?: () => Promise<DeviceWrites | undefined>;
  /** Only where the configuration names a file of users. */
  readonly usersFile?: UsersFileDoor | undefined;
};
