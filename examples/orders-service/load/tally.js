// How often each thing happened, by name.

/** @typedef {ReturnType<typeof createTally>} Tally */

export function createTally() {
  /** @type {Record<string, number>} */
  const counts = {};
  return {
    counts,
    /** @param {string} name @param {number} [by] */
    add(name, by = 1) {
      if (by > 0) counts[name] = (counts[name] ?? 0) + by;
    },
  };
}
