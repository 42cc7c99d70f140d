// Several calls that must all be made, whatever becomes of the others.
import { textOf } from '../data/diagnostics.ts';

/** Rejects once all have settled: with the failure, or with an AggregateError of several. */
export async function allOf(calls: readonly Promise<unknown>[]): Promise<void> {
  const failures = (await Promise.allSettled(calls)).filter((result) => result.status === 'rejected');
  const errors = failures.map(({ reason }) => reason as unknown);
  if (errors.length > 1) throw new AggregateError(errors, errors.map(textOf).join('; '));
  if (errors.length === 1) throw errors[0];
}
