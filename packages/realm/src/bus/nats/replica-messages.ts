import type { Msg } from '@nats-io/transport-node';
import type { RevokedPeer } from '../../store/revocations.js';
import type { RemoteRefusal } from '../bus.js';

const mostCertificates = 8;

/** What a replica asks another one, which holds the guest. */
export interface Request {
  readonly kind: 'connect' | 'revoke';
  readonly guest: string;
  readonly epoch: number;
  readonly certificates: readonly string[];
  readonly from: string;
  readonly pipe?: string;
  readonly revoked?: RevokedPeer;
}

export type Answer =
  | { readonly ok: true; readonly closed?: number }
  | { readonly ok: false; readonly refusal: RemoteRefusal };

/** The answer to a replica to which the connection of a token has come. */
export type TokenAnswer =
  | {
      readonly pipe: string;
      readonly guest: { readonly id: string; readonly name: string };
      readonly certificates: readonly string[];
    }
  | { readonly pipe: null };

export const unavailable: RemoteRefusal = {
  status: 503,
  code: 'guest_unavailable',
  message: 'the replica that has the guest does not serve it: try again',
};

export function encoded(certificates: readonly Buffer[]): readonly string[] {
  return certificates.slice(0, mostCertificates).map((each) => each.toString('base64'));
}

export function decoded(certificates: readonly string[]): readonly Buffer[] {
  return certificates.slice(0, mostCertificates).map((each) => Buffer.from(each, 'base64'));
}

export function parse(message: Msg): unknown {
  try {
    return message.json<unknown>();
  } catch {
    return undefined;
  }
}
