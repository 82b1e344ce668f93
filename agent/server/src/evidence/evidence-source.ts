import { join } from 'node:path';
import { readIfThere } from '@kata-agent/base';
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
import { measurementDirectory } from '../measurement/measure.js';
import { quoteOfAttestationAgent } from './attestation-agent.js';
import { keysLog } from './seal-registers.js';

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
