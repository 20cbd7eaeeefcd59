/** Who may what on the embedded broker, as weir.yaml says it, after the schema. */

/** A list that is not there allows everything, an empty one nothing. */
export type RightsSection = {
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
};

/** With one of password and passwordHash, or neither where the file of users has it. */
export type UserSection = RightsSection & {
  readonly name: string;
  readonly password?: string;
  readonly passwordHash?: string;
};

export type QuotasSection = {
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly inFlight: number;
  readonly packet: number;
  readonly subscriptions: number;
  readonly connectionsPerAddress: number;
  readonly connectsPerSecond: number;
  readonly user: {
    readonly connections: number;
    readonly messagesPerSecond?: number;
    readonly bytesPerSecond?: number;
  };
};

export type AccessSection = {
  readonly anonymous?: boolean;
  readonly users: readonly UserSection[];
  readonly usersFile?: string;
  readonly certificates: readonly (RightsSection & { readonly name: string })[];
  readonly anonymousRights: RightsSection;
  readonly quotas: QuotasSection;
};
