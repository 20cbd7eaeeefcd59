/**
 * Bounds of the nodes that compute inside Node-RED: they share its heap and its event loop with all
 * flows, so they are smaller than the agent's. Each says what happens at it.
 */

export const flowLimits = {
  /** Keys that one node may be told to keep; a message with one more is an error for Catch nodes. */
  keysMax: 10_000,
  /** Characters of a key, an item or an identity; a longer one is an error for Catch nodes. */
  textLengthMax: 256,
  /** Panes of all keys of a window node together; a configuration that needs more is refused. */
  panesMax: 262_144,
  /** What a node keeps in a context store, in characters of JSON; past it nothing is kept, which is said. */
  stateLengthMax: 4_194_304,
  /** How often what changed is put into the context store, ms; also when the node closes. A store in files
      writes it later, in its own time. */
  keepMs: 10_000,
  /** Messages that wait for the context store at the start; one more is an error for Catch nodes. */
  heldMessagesMax: 1_000,
  /** A node's status changes at most so often, ms: each change goes to every open editor. */
  statusMs: 1_000,
  /** Identities that one dedupe node may be told to remember; the oldest is forgotten first, also where all
      of them would be more than stateLengthMax. */
  identitiesMax: 100_000,
  /** Readings of a key that a dedupe node may be told to look through. */
  duplicateRingMax: 1_024,
  /** The most readings that a setting of a chart may count. */
  chartReadingsMax: 1_000_000,
  /** Parts of one hopping window; a configuration that needs more is refused. */
  panesPerWindowMax: 2_048,
  /** Items of a list of the most frequent. */
  topMax: 1_000,
  /** Arrival time is looked at so often while windows are open, ms. */
  arrivalTickMs: 1_000,

  // nodes that talk to an agent
  /** Connections of one agent's node for requests; streams have theirs beside them. */
  agentConnectionsMax: 4,
  /** An agent that is busy, and wants to be asked again within so long, is asked so many times more. */
  busyWaitMsMax: 2_000,
  busyRetriesMax: 10,
  /** An answer that takes longer, or is longer, is a failure; bytes. */
  answerWaitMs: 30_000,
  answerBytesMax: 16_777_216, // 16 MiB
  /** A stream that says nothing for so long is cut, ms: some of its heartbeats. */
  streamSilenceMs: 20_000,
  /** Characters of one event; a longer one cuts the stream. */
  eventLengthMax: 1_048_576,
  /** Waits between tries, ms: the first, and the longest. */
  retryMsMin: 500,
  retryMsMax: 30_000,
  /** Pipelines that a sentence names; of more it says how many. */
  namesToldMax: 10,
  /** Paused uplinks that a status names; of more it says how many. */
  pausesShownMax: 2,
  /** How often a stream's place is put there while it moves, ms; also when the node closes. */
  placeKeepMs: 1_000,
  /** Messages that one publish node may be told to hold, and characters of their JSON that it holds. */
  publishMessagesMax: 100_000,
  publishLengthMax: 16_777_216,
  /** Messages that a full queue drops, told one by one in so many ms; the last error counts the others. */
  publishErrorsMax: 100,
  publishTellMs: 1_000,
  /** Messages, and characters, of one body; a message with more is an error for Catch nodes. */
  publishMessages: 1_000,
  publishBodyLength: 262_144,
  /** Messages that come within this share a body, ms. */
  publishLingerMs: 10,
  /** What the nodes before a closing one have sent already comes turns later: within this, ms, and so many more. */
  closeLingerMs: 10,
  closeLingerTurns: 20,
  /** A publish node that closes goes on sending for so long, ms; Node-RED waits 15 s for it. */
  closeWaitMs: 10_000,
  /** Questions of one node under way, and those that wait; one more is an error for Catch nodes. */
  questionsMax: 2,
  questionsWaitingMax: 1_000,
  /** What was open under other settings is sent so long after a start, when all nodes are there, ms. */
  leftoverMs: 20,
  /** The longest wait that a timer of Node takes, ms; a longer one is taken in parts. */
  timerMsMax: 2_147_483_647,
} as const;
