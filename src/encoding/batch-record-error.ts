// What reading a record ends with, where its bytes are none.

/** Why bytes are no record: `damaged`, or written in a `version` of the format that this one does not know. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
  readonly reason: 'damaged' | 'version';

  constructor(reason: RecordError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}
