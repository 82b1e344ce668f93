import { createPrivateKey, type KeyObject } from 'node:crypto';
import { agentLogSigner } from '../checkpoint/agent-log.js';
import { type LogSigner, WitnessSigner } from '../note/signers.js';

/** Returns the Ed25519 private key whose seed is 32 times this byte (PKCS #8 of RFC 8410, Section 7). */
export function testKey(seed: number): KeyObject {
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
  return createPrivateKey({
    key: Buffer.concat([prefix, Buffer.alloc(32, seed)]),
    format: 'der',
    type: 'pkcs8',
  });
}

export const testLog: LogSigner = agentLogSigner(testKey(1));
export const otherLog: LogSigner = agentLogSigner(testKey(2));
export const testWitness: WitnessSigner = new WitnessSigner('witness.example/w1', testKey(3));
export const otherWitness: WitnessSigner = new WitnessSigner('witness.example/w2', testKey(4));
