// A batch as bytes of our own, for queues on disk: columns as they are in memory, each text and attribute set once.
// Numbers have the byte order of the machine, since a queue is read where it was written; whoever stores records notes it.
//
//   record      version, resource attributes, schema URL, scopes
//   text        0 | 1, length, bytes (UTF-8 | UTF-16) when it comes for the first time; else its number + 2
//   column      0, elements | 1, the one element that all are
//   set         its number, for each point; a new number is followed by the attributes
//   attributes  the number of the list of keys, a new one followed by the list; then the values

/** Rises when older readers cannot read what is written now. */
export const RECORD_VERSION = 2;

/** Deeper values are left out, as are objects that contain themselves. */
export const MAX_DEPTH = 16;

/** What an attribute value is. */
export const TAG = {
  none: 0,
  null: 1,
  false: 2,
  true: 3,
  text: 4,
  number: 5,
  list: 6,
  bigint: 7,
  bytes: 8,
  object: 9,
} as const;

export const COLUMN = { elements: 0, same: 1 } as const;

/** Which optional fields of a scope follow. */
export const SCOPE = { version: 1, schemaUrl: 2, attributes: 4 } as const;

export type Column = Float64Array | BigUint64Array | Int32Array | Uint32Array;
