/**
 * The requests we make and their versions: each the newest that Kafka 2.5 knows, so that one set
 * serves 2.5 to 4.x (KIP-896 removed older ones only). Fixed, because another version is another
 * meaning: AddPartitionsToTxn from version 4 on is for brokers, and EndTxn from version 5 on changes
 * the producer's epoch.
 *
 * Versions of the transactional requests below 2 call a fenced producer INVALID_PRODUCER_EPOCH where
 * newer ones say PRODUCER_FENCED.
 */

export const requests = {
  Produce: { key: 0, version: 8 },
  Fetch: { key: 1, version: 11 },
  ListOffsets: { key: 2, version: 5 },
  Metadata: { key: 3, version: 9 },
  OffsetFetch: { key: 9, version: 7 },
  FindCoordinator: { key: 10, version: 3 },
  CreateTopics: { key: 19, version: 5 },
  InitProducerId: { key: 22, version: 3 },
  AddPartitionsToTxn: { key: 24, version: 1 },
  AddOffsetsToTxn: { key: 25, version: 1 },
  EndTxn: { key: 26, version: 1 },
  TxnOffsetCommit: { key: 28, version: 3 },
  DescribeConfigs: { key: 32, version: 2 },
} as const;

export type RequestName = keyof typeof requests;

/** A request and what it is about, for whoever has to explain a refusal. */
export type Asked = {
  readonly request: RequestName;
  readonly topic?: string;
  readonly partition?: number;
  readonly transactionalId?: string;
  readonly group?: string;
};

/** The versions of each request, by its key, that a broker answers. */
export type Versions = ReadonlyMap<number, { readonly min: number; readonly max: number }>;

/** Why the broker cannot be asked this; undefined when it can. */
export function versionLack(request: RequestName, versions: Versions): string | undefined {
  const { key, version } = requests[request];
  const offered = versions.get(key);
  if (offered === undefined) return `does not know ${request}; weir needs Kafka 2.5 or newer`;
  if (offered.max < version) {
    return `supports ${request} up to v${offered.max}; weir needs Kafka 2.5 or newer`;
  }
  if (offered.min > version) {
    return `supports ${request} from v${offered.min} on, this weir speaks v${version}: a newer weir is needed`;
  }
  return undefined;
}
