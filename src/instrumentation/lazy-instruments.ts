// Instruments of the provider in force. The metrics API hands out a no-op meter until a provider is registered
// and has no proxy that would switch over later (unlike its tracing half), so the provider is asked for again.
import { type Meter, type MeterProvider, metrics } from '@opentelemetry/api';

/**
 * Returns a function that gives the instruments to record with now: made on first use, and made anew when
 * another global provider has been registered. Costs a property read per call.
 *
 * @param meterProvider a fixed provider; undefined follows the global one
 */
export function lazyInstruments<T>(
  meterProvider: MeterProvider | undefined,
  scope: string,
  create: (meter: Meter) => T,
): () => T {
  let known: MeterProvider | undefined;
  let instruments: T;
  return () => {
    const provider = meterProvider ?? metrics.getMeterProvider();
    if (provider !== known) {
      instruments = create(provider.getMeter(scope));
      known = provider;
    }
    return instruments;
  };
}
