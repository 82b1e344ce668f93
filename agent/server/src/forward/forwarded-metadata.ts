import type { Metadata } from '@kata-agent/ttrpc';

/**
 * The metadata that Kata's Go runtime sends and its agent reads: the trace context of OpenTelemetry (Kata 4.1,
 * `TraceUnaryClientInterceptor` in the runtime, `extract_carrier_from_ttrpc` in the agent). Other metadata was seen by no rule.
 */
const passed = ['traceparent', 'tracestate', 'baggage'] as const;

const longestValue = 8192;

/** Printable ASCII: these are HTTP headers by their specification. */
const printable = /^[\x20-\x7e]*$/;

/** Returns the metadata that is passed on. */
export function forwardedMetadata(metadata: Metadata): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  if (metadata.size === 0) return found;
  for (const name of passed) {
    const values = metadata.get(name);
    const [value] = values ?? [];
    if (value === undefined || values?.length !== 1) continue;
    if (value.length <= longestValue && printable.test(value)) found[name] = value;
  }
  return found;
}
