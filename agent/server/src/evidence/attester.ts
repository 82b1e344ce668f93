import { FairQueue } from '@kata-agent/connection-limits/fair';
import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import { type AgentKeys, type Bundle, type Claims, encodeBundle, encodeClaims } from '@kata-agent/evidence';
import { parseAgentLogCheckpoint } from '@kata-agent/tlog';
import { version } from '../version.js';
import { TooManyAttestations } from './too-many-attestations.js';
import type { EvidenceSource, SourceEvidence } from './evidence-source.js';

export interface AttesterOptions {
  readonly configuration: Pick<Configuration, 'digest' | 'documents' | 'files'>;
  readonly bootId: string;
  readonly keys: AgentKeys;
  readonly audit: Pick<AuditLog, 'checkpoint'>;
  /** Those that were there at the start: each must answer, so that no evidence silently has less. */
  readonly sources: readonly EvidenceSource[];
  /** What they said of themselves at the start. */
  readonly ofSources: Pick<Claims, 'tpmAk'>;
}

/** Calls of one caller that wait for their turn: a quote takes a TPM up to a second. */
const longestQueue = 16;

/** The caller that asks for evidence. */
export interface AttestCaller {
  readonly key: string;
  /** A server that the agent has dialled: it accepts the guest by the evidence, and precedes all waiting callers (S44). */
  readonly isServer: boolean;
}

/** Makes evidence, one at a time: a TPM has place for few keys. Callers take turns. */
export class Attester {
  readonly #options: AttesterOptions;
  readonly #queue = new FairQueue(longestQueue);

  constructor(options: AttesterOptions) {
    this.#options = options;
  }

  /**
   * Returns a bundle.
   *
   * @param channel as in the claims.
   * @throws TooManyAttestations, MeasurementError if a source fails, AuditUnavailable.
   */
  async attest(nonce: Uint8Array, channel: string, { key, isServer }: AttestCaller): Promise<Uint8Array> {
    const mine = this.#queue.run(key, () => this.#attest(nonce, channel), isServer);
    if (mine === undefined)
      throw new TooManyAttestations(
        `${longestQueue} calls of Attest of this caller are waiting: call again later`,
      );
    return await mine;
  }

  async #attest(nonce: Uint8Array, channel: string): Promise<Uint8Array> {
    const { configuration, bootId, keys, audit, sources, ofSources } = this.#options;
    const { checkpoint } = await audit.checkpoint();
    const { size, root } = parseAgentLogCheckpoint(checkpoint).head;
    const claims = encodeClaims({
      ...keys,
      ...ofSources,
      nonce: Buffer.from(nonce).toString('hex'),
      channel,
      treeSize: size,
      rootHash: root,
      configDigest: configuration.digest,
      documents: [
        ...configuration.documents.map(({ sha256 }) => sha256),
        ...configuration.files.map(({ key, sha256 }) => `${key}=${sha256}`),
      ],
      bootId,
      version,
    });
    const collected: SourceEvidence[] = [];
    for (const source of sources) collected.push(await source.collect(claims));
    const eventLogs = collected.reduce<Bundle['eventLogs']>((all, { logs }) => ({ ...all, ...logs }), {
      tpm: [],
      rtmr: [],
    });
    return encodeBundle({
      claims,
      evidence: collected.map(({ evidence }) => evidence),
      checkpoint,
      documents: configuration.documents,
      eventLogs,
    });
  }
}
