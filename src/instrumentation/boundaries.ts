// Bucket boundaries that the instruments advise; a View replaces them.

/** Seconds, from 5 ms: those of the HTTP semantic conventions, which dashboards are made for. */
export const DURATION_BOUNDARIES = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];

/** Bytes: a bucket for the many empty bodies, then powers of four from 256 B to 64 MiB. */
export const SIZE_BOUNDARIES = [0, ...Array.from({ length: 10 }, (_, i) => 256 * 4 ** i)];
