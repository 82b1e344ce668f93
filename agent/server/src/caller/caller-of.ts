import type { CallInfo } from '@kata-agent/ttrpc';
import type { Caller } from './caller.js';

/** The metadata by which a server that is trusted names the operator for whom it makes a call. */
const operatorKey = 'kata-agent-operator';

/** Printable ASCII, so that no record or log line is deceived by it. */
const operatorName = /^[\x20-\x7e]{1,256}$/;

/**
 * Returns the caller of a call. Where a server is trusted, it names an operator with each call, if it makes the call for one. In
 * other connections the metadata has no meaning.
 */
export function callerOf({
  connection,
  metadata,
}: Pick<CallInfo<Caller>, 'connection' | 'metadata'>): Caller {
  if (connection.realm?.relay !== 'trusted') return connection;
  const [operator, ...more] = metadata.get(operatorKey) ?? [];
  if (operator === undefined || more.length > 0 || !operatorName.test(operator)) return connection;
  return { ...connection, identity: { ...connection.identity, claimedOperator: operator } };
}

/** Returns what is wrong with the operator that a call names; undefined if nothing is, or if it names none. */
export function operatorFault({
  connection,
  metadata,
}: Pick<CallInfo<Caller>, 'connection' | 'metadata'>): string | undefined {
  if (connection.realm?.relay !== 'trusted') return undefined;
  const values = metadata.get(operatorKey);
  if (values === undefined) return undefined;
  const [operator = '', ...more] = values;
  if (more.length === 0 && operatorName.test(operator)) return undefined;
  // Without the text, which could be anything.
  return `the metadata ${operatorKey} must have one value, of 1 to 256 characters of printable ASCII`;
}
