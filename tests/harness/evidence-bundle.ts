import { createHash } from 'node:crypto';

/** A bundle of evidence with a TPM quote, as JSON; bytes are in base64. */
export interface EvidenceBundle {
  claims: string;
  checkpoint: string;
  evidence: {
    kind: string;
    attest: string;
    signature: string;
    public: string;
    registers: Record<string, string>;
  }[];
  documents: { file: string; source: string; sha256: string }[];
  event_logs: {
    tpm: { pcr: number; digests: { hashAlg: string; digest: string }[]; content: { event_data: string } }[];
    firmware?: string;
  };
}

/** The name of a key in a TPM, from TPMT_PUBLIC in base64. */
export function attestationKeyName(publicArea: string): string {
  return `000b${createHash('sha256').update(Buffer.from(publicArea, 'base64')).digest('hex')}`;
}

/** Values that accept the TPM of a bundle that the operator trusts, the values of all its registers but the agent's, and a configuration. */
export function valuesOfTrusted({ evidence }: EvidenceBundle, configuration: string): object {
  const [quote] = evidence;
  if (quote === undefined) throw new Error('the bundle has no evidence');
  const { 13: _agents, ...registers } = quote.registers;
  return {
    v: 1,
    accept: ['tpm'],
    configurations: [configuration],
    tpm: [{ ak: attestationKeyName(quote.public), bank: 'sha256', registers }],
  };
}
