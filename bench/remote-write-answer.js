/** A receiver that does not say what it wrote would be taken for one of version 1.0. */
export const WRITTEN = {
  'x-prometheus-remote-write-samples-written': '999999999',
  'x-prometheus-remote-write-histograms-written': '0',
  'x-prometheus-remote-write-exemplars-written': '0',
};
