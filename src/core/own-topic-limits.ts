/** Bounds of what the agent publishes itself on its embedded broker; see limits.ts. */

export const ownTopicLimits = {
  // own topics
  /** The retained status on the embedded broker is renewed so often. */
  ownStatusMs: 10_000,
  /** Records of one lane that wait to be published there; further ones are not, and counted. */
  ownWaitingBytesMax: 4_194_304, // 4 MiB
  /** Published in one turn of the event loop. */
  ownTurnBytes: 65_536, // 64 KiB
  /** While local clients have not read so much, summaries wait for them... */
  ownUnreadBytes: 1_048_576, // 1 MiB
  /** ...for so long, looking this often: then a client that does not read is closed at its bound. */
  ownPatienceMs: 1_000,
  ownLookMs: 20,
  /** Notices in a published status; the others are counted. */
  ownNoticesMax: 16,

  // Home Assistant
  /** Entities that it is told of; records of further keys are not shown there, and counted. */
  homeAssistantEntitiesMax: 1_024,
  /** Of an entity's name. */
  homeAssistantNameCharsMax: 200,
  /** A state in which a key has an alert, after its last one. */
  homeAssistantAlertMs: 300_000, // 5 min
  /** All of it is told again at most so often, however often somebody asks. */
  homeAssistantAgainMs: 1_000,
  /** Metrics with a unit in the configuration. */
  homeAssistantUnitsMax: 256,
} as const;
