import type { CallResult } from '@kata-agent/audit';
import { type ContextKey, contextKey, type ContextValues } from '@kata-agent/ttrpc';

/** The sealed secrets that the data hub was asked for during a call, recorded with its result. */
const secretsKey: ContextKey<string[]> = contextKey<string[]>('secrets');

/** Remembers a sealed secret for the record of a call, whether it is got or not. */
export function noteSecret(values: ContextValues, name: string): void {
  const names = values.get(secretsKey);
  if (names === undefined) values.set(secretsKey, [name]);
  else names.push(name);
}

/** Returns the recorded form of the secrets of a call. */
export function secretsOf(values: ContextValues): Pick<CallResult, 'secrets'> {
  const names = values.get(secretsKey);
  return names === undefined ? {} : { secrets: { count: names.length, names } };
}
