// File operations whose failure does a known harm and no other.
import { report } from '../../data/diagnostics.ts';
import { errnoOf, fileError } from '../../data/file-error.ts';

/** @param harm what is then the case, for the log */
export async function survived(folder: string, harm: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    report(
      'warn',
      `disk-queue:disk:${folder}`,
      `queue ${folder}: ${harm}: ${fileError(folder, error).message}`,
    );
  }
}
