import type { Caller } from './caller.js';

/**
 * Returns the key by which places and turns are counted: connections of one caller have the same. Of a certificate its names count,
 * since a caller can have several certificates, each renewed.
 */
export function callerKey({ identity, realm }: Pick<Caller, 'identity' | 'realm'>): string {
  if (realm !== undefined) return 'server';
  const { kind, cid, uid, subject = '', sans = [] } = identity;
  return kind === 'tls' ? `tls ${JSON.stringify([subject, ...sans])}` : `${kind} ${cid ?? uid ?? ''}`;
}
