import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { readIfThere } from '@kata-agent/base';
import { attestationAgentSocket } from '@kata-agent/catalogue';
import type { Configuration, EvidenceSource as SourceName } from '@kata-agent/config';
import {
  attestationKeyName,
  claimsDigest,
  type Bundle,
  type Claims,
  type KindBundle,
  type LoggedEvent,
  parseTcgLog,
  reportDataOf,
  splitCertificates,
  type TpmBundle,
} from '@kata-agent/evidence';
import {
  checkTsm,
  firmwareLogPath,
  type KernelFiles,
  MeasurementError,
  quoteRegisters,
  readTsmReport,
  tpmConnector,
} from '@kata-agent/measurement';
import { AttestationAgentService } from '@kata-agent/protocol/attestation_agent';
import { connect, createClient, TtrpcError } from '@kata-agent/ttrpc';
import { measurementDirectory } from '../measurement/measure.js';
import { keysLog } from './seal-registers.js';

/** A quote passes through the host. */
const timeoutMs = 30_000;

/** A quote with its event log has a tenth of it. */
const maxBytes = 1024 * 1024;

/** What binds claims. */
export interface EvidenceSource {
  readonly name: SourceName;
  /** Returns what the claims say of the source. Throws a MeasurementError if it is not there. */
  check(): Promise<Pick<Claims, 'tpmAk'>>;
  /** Returns evidence of the claims. Throws a MeasurementError. Calls must not overlap. */
  collect(claims: Uint8Array): Promise<SourceEvidence>;
}

/** Evidence, and the logs of the registers in it. */
export interface SourceEvidence {
  readonly evidence: KindBundle;
  readonly logs: Partial<Bundle['eventLogs']>;
}

/**
 * The registers of a boot: firmware and its configuration, boot loader, kernel, command line and initial RAM disk. 8, 10 and 12 to
 * 15 are extended by programs of the guest.
 */
const bootRegisters = [0, 1, 2, 3, 4, 5, 6, 7, 9, 11];

/** Returns the source of a name. */
export function evidenceSource(
  name: SourceName,
  configuration: Pick<Configuration, 'measurement' | 'evidence'>,
  environment: Readonly<Record<string, string | undefined>>,
): EvidenceSource {
  switch (name) {
    case 'tpm':
      return tpmSource(configuration, environment);
    case 'attestation-agent':
      return attestationAgentSource();
    case 'configfs-tsm':
      return tsmSource();
  }
}

function tpmSource(
  { measurement: { pcr }, evidence: { akCertificate } }: Pick<Configuration, 'measurement' | 'evidence'>,
  environment: Readonly<Record<string, string | undefined>>,
): EvidenceSource {
  const pcrs = [...new Set([...bootRegisters, pcr])].sort((a, b) => a - b);
  const quote = async (claims: Uint8Array): Promise<SourceEvidence & { readonly evidence: TpmBundle }> => {
    const { certificate, ...quoted } = await quoteRegisters(tpmConnector(environment), {
      pcrs,
      extraData: claimsDigest(claims),
      ...(akCertificate === 'off' ? {} : { certificateIndex: akCertificate }),
    });
    const certificates = certificate === undefined ? [] : certificatesOf(certificate);
    const firmwarePath = firmwareLogPath(environment);
    const firmware = firmwarePath === undefined ? undefined : readIfThere(firmwarePath);
    return {
      evidence: { kind: 'tpm', ...quoted, certificates },
      logs: {
        tpm: agentLog('tpm'),
        ...(firmware === undefined ? {} : { firmware }),
      },
    };
  };
  return {
    name: 'tpm',
    check: async () => {
      const { evidence } = await quote(new Uint8Array());
      return { tpmAk: attestationKeyName(evidence.publicArea) };
    },
    collect: quote,
  };
}

/** Returns the certificates of an NV index, unverified. Throws a MeasurementError if it has none. */
function certificatesOf(bytes: Uint8Array): readonly Uint8Array[] {
  const certificates = splitCertificates(bytes);
  if (certificates.length > 0) return certificates;
  throw new MeasurementError('the NV index that ak_certificate names has no certificate in DER');
}

/** Returns the source of reports below `root`. */
export function tsmSource(root: string = '/', files?: KernelFiles): EvidenceSource {
  return {
    name: 'configfs-tsm',
    check: async () => {
      checkTsm(root, files);
      return {};
    },
    collect: async (claims) => {
      const { provider, report, auxiliary } = await readTsmReport(reportDataOf(claims), root, files);
      if (provider === 'sev_guest')
        return { evidence: { kind: 'snp', report, certificates: auxiliary }, logs: {} };
      if (provider === 'tdx_guest')
        return { evidence: { kind: 'tdx', quote: report }, logs: { rtmr: agentLog('rtmr') } };
      throw new MeasurementError(`reports of ${provider} are not supported`);
    },
  };
}

/** Returns the source of quotes of TDX that the attestation agent gets. RTMR 3 must be this agent's alone. */
function attestationAgentSource(): EvidenceSource {
  return {
    name: 'attestation-agent',
    check: async () => {
      await quoteOfAttestationAgent(reportDataOf(new Uint8Array()));
      return {};
    },
    collect: async (claims) => ({
      evidence: { kind: 'tdx', quote: await quoteOfAttestationAgent(reportDataOf(claims)) },
      logs: { rtmr: agentLog('rtmr') },
    }),
  };
}

/** Returns the agent's events in a register: the configuration, the keys, the separator. */
function agentLog(kind: 'tpm' | 'rtmr'): readonly LoggedEvent[] {
  return [`${kind}-event-log`, keysLog(kind)].flatMap((name) => {
    const bytes = readMeasured(join(measurementDirectory, name));
    return bytes === undefined ? [] : parseTcgLog(bytes, name);
  });
}

function readMeasured(path: string): Uint8Array | undefined {
  try {
    return readIfThere(path);
  } catch (error) {
    throw new MeasurementError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Asks the attestation agent for a quote of TDX over report data, by GetEvidence. The attestation agent passes the report data on
 * unchanged: whether this one did so, the verifier sees in the quote. Throws a MeasurementError, also for evidence of another kind
 * of guest.
 */
export async function quoteOfAttestationAgent(
  reportData: Uint8Array,
  path: string = attestationAgentSocket,
): Promise<Uint8Array> {
  const socket = connectSocket(path);
  try {
    await once(socket, 'connect');
    const channel = connect(socket, { limits: { streamBufferBytes: maxBytes } });
    try {
      const service = createClient(AttestationAgentService, channel);
      const { Evidence } = await service.getEvidence({ RuntimeData: reportData }, { timeoutMs });
      return parseQuote(Evidence);
    } finally {
      channel.close();
    }
  } catch (error) {
    if (error instanceof TtrpcError)
      throw new MeasurementError(`the attestation agent: ${error.message}`, { cause: error });
    if (error instanceof Error && 'syscall' in error)
      throw new MeasurementError(`the attestation agent at ${path}: ${error.message}`, { cause: error });
    throw error;
  } finally {
    socket.destroy();
  }
}

/** Reads what the attester of TDX returns: `quote`, and an event log that is not used. Throws a MeasurementError. */
function parseQuote(evidence: Uint8Array): Uint8Array {
  if (evidence.length > maxBytes)
    throw new MeasurementError(`the evidence of the attestation agent has ${evidence.length} bytes`);
  let quote: unknown;
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(evidence)) as unknown;
    quote = typeof value === 'object' && value !== null && 'quote' in value ? value.quote : undefined;
  } catch (error) {
    throw new MeasurementError('the evidence of the attestation agent is not JSON', { cause: error });
  }
  // A report of SNP is taken apart by the attestation agent, in a form that depends on its version.
  if (typeof quote !== 'string')
    throw new MeasurementError(
      'the evidence of the attestation agent is not a quote of TDX: use "configfs-tsm" for SNP',
    );
  return new Uint8Array(Buffer.from(quote, 'base64'));
}
