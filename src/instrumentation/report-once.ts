// What goes wrong while a request is observed goes wrong for each request, so each kind is told once.
import { diag } from '@opentelemetry/api';

export type ReportOnce = (problem: string, error?: unknown) => void;

export function reportOnce(): ReportOnce {
  const reported = new Set<string>();
  return (problem, error) => {
    if (reported.has(problem)) return;
    reported.add(problem);
    diag.warn(
      `meterline: ${problem}; further cases are not reported`,
      ...(error === undefined ? [] : [error]),
    );
  };
}
