import { generateKeyPairSync } from 'node:crypto';
import { agentLogSigner, type LogSigner } from '@kata-agent/tlog';

/**
 * Returns a new key for the audit log of this start. It is in memory only, and dies with the agent: a checkpoint is worth what
 * witnesses and evidence add to it (docs/trust.md, "The audit log").
 */
export function createLogSigner(): LogSigner {
  return agentLogSigner(generateKeyPairSync('ed25519').privateKey);
}
