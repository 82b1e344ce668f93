import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { FairQueue } from '@kata-agent/connection-limits/fair';
import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import { type AgentKeys, type Bundle, type Claims, encodeBundle, encodeClaims } from '@kata-agent/evidence';
import { type Measurement, MeasurementError, type RegisterReport } from '@kata-agent/measurement';
import { parseAgentLogCheckpoint } from '@kata-agent/tlog';
import { CannotApply } from '../cannot-apply.js';
import type { Log } from '../log.js';
import { version } from '../version.js';
import { type EvidenceSource, evidenceSource, type SourceEvidence } from './evidence-source.js';
import { sealRegister } from './seal-registers.js';

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
   * @throws a TtrpcError RESOURCE_EXHAUSTED if too many calls wait, MeasurementError if a source fails, AuditUnavailable.
   */
  async attest(nonce: Uint8Array, channel: string, { key, isServer }: AttestCaller): Promise<Uint8Array> {
    const mine = this.#queue.run(key, () => this.#attest(nonce, channel), isServer);
    if (mine === undefined)
      throw new TtrpcError(
        Code.ResourceExhausted,
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

export interface AttesterEnvironment {
  readonly bootId: string;
  /** Those of this start. */
  readonly keys: AgentKeys;
  readonly audit: Pick<AuditLog, 'checkpoint'>;
  /** What became of the configuration's measurement. */
  readonly measured: readonly RegisterReport[];
  readonly log: Log;
}

/**
 * Opens the sources of evidence, and measures the keys of this start into the registers that have the configuration, before any
 * listener opens. Undefined: no source is there, and none is required.
 *
 * @throws CannotApply if a required source is not there, or if keys cannot be measured into a required register.
 */
export async function openAttester(
  configuration: Configuration,
  environment: AttesterEnvironment & { readonly registers: Measurement['registers'] },
): Promise<Attester | undefined> {
  const { bootId, keys, audit, registers, measured, log } = environment;
  for (const { register, need } of registers) {
    const report = measured.find((one) => one.register === register.name);
    if (report === undefined || report.outcome === 'failed') continue;
    try {
      const sealing = await sealRegister(register, keys, bootId);
      if (sealing === 'sealed') log('info', 'the keys are measured', { register: register.name });
      else
        log(
          'warn',
          'the keys of this start are not measured: the agent was started before in this boot\nhelp: start the guest again, or evidence will not be verified',
          { register: register.name },
        );
    } catch (error) {
      if (!(error instanceof MeasurementError)) throw error;
      if (need === 'require')
        throw new CannotApply(
          `the keys could not be measured into ${register.name}, which is required: ${error.message}`,
          { cause: error },
        );
      log('warn', 'the keys are not measured', { register: register.name, reason: error.message });
    }
  }
  const sources: EvidenceSource[] = [];
  let ofSources: Pick<Claims, 'tpmAk'> = {};
  for (const name of configuration.evidence.sources) {
    try {
      const source = evidenceSource(name, configuration, process.env);
      ofSources = { ...ofSources, ...(await source.check()) };
      sources.push(source);
    } catch (error) {
      if (!(error instanceof MeasurementError)) throw error;
      if (configuration.evidence.require.includes(name))
        throw new CannotApply(
          `the source of evidence "${name}", which is required, is not there: ${error.message}`,
          {
            cause: error,
          },
        );
      log('warn', 'a source of evidence is not there', { source: name, reason: error.message });
    }
  }
  if (sources.length === 0) return undefined;
  log('info', 'evidence', { sources: sources.map(({ name }) => name).join(', ') });
  return new Attester({ configuration, bootId, keys, audit, sources, ofSources });
}
