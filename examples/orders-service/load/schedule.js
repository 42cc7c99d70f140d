// Which operation comes when.

/**
 * One round of operations, each as often as its weight says and spread evenly. A fixed order instead of chance:
 * even a run of a second meets every case.
 *
 * @template {{ weight: number }} T
 * @param {T[]} operations
 */
export function round(operations) {
  return operations
    .flatMap((operation) =>
      Array.from({ length: operation.weight }, (_, i) => ({ operation, at: (i + 0.5) / operation.weight })),
    )
    .sort((a, b) => a.at - b.at)
    .map(({ operation }) => operation);
}
