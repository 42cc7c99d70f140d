// How long a queue works between two turns of the event loop.

/** Half of what is usual: the exporter may have its own slices in the same turns of the event loop. */
export const SLICES = { budgetMillis: 1 };
