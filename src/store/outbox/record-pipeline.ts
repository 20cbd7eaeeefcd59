/** The pipeline of an encoded record, without decoding it: the second part of its id. */

/** As far as the id begins in a summary, the longer of the two kinds. */
const ID_BEGINS = Buffer.from('"id":"', "latin1");
const HEAD_BYTES = 40;
const SLASH = 0x2f;

/** As the id writes it; undefined where the bytes are no record. */
export function pipelineOfRecord(record: Uint8Array): string | undefined {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  const id = bytes.subarray(0, HEAD_BYTES).indexOf(ID_BEGINS);
  const agentEnd = id < 0 ? -1 : bytes.indexOf(SLASH, id + ID_BEGINS.length);
  const end = agentEnd < 0 ? -1 : bytes.indexOf(SLASH, agentEnd + 1);
  return end < 0 ? undefined : bytes.toString("latin1", agentEnd + 1, end);
}
