import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration, EvidenceSource as SourceName } from '@kata-agent/config';
import {
  claimsDigest,
  type Bundle,
  type KindBundle,
  type LoggedEvent,
  parseTcgLog,
  reportDataOf,
} from '@kata-agent/evidence';
import { hasCode } from '@kata-agent/linux';
import {
  checkTsm,
  firmwareLogPath,
  type KernelFiles,
  MeasurementError,
  quoteRegisters,
  readTsmReport,
  tpmConnector,
} from '@kata-agent/measurement';
import { measurementDirectory } from '../startup/measure.js';
import { keysLog } from './seal-registers.js';

/** What binds claims. */
export interface EvidenceSource {
  readonly name: SourceName;
  /** Throws a MeasurementError if the source is not there. */
  check(): Promise<void>;
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
  { measurement }: Pick<Configuration, 'measurement'>,
  environment: Readonly<Record<string, string | undefined>>,
): EvidenceSource {
  return name === 'tpm' ? tpmSource(measurement.pcr, environment) : tsmSource();
}

function tpmSource(pcr: number, environment: Readonly<Record<string, string | undefined>>): EvidenceSource {
  const registers = [...new Set([...bootRegisters, pcr])].sort((a, b) => a - b);
  const quote = async (claims: Uint8Array): Promise<SourceEvidence> => {
    const quoted = await quoteRegisters(tpmConnector(environment), registers, claimsDigest(claims));
    const firmwarePath = firmwareLogPath(environment);
    const firmware = firmwarePath === undefined ? undefined : readIfThere(firmwarePath);
    return {
      evidence: { kind: 'tpm', ...quoted },
      logs: {
        tpm: agentLog('tpm'),
        ...(firmware === undefined ? {} : { firmware }),
      },
    };
  };
  return { name: 'tpm', check: async () => void (await quote(new Uint8Array())), collect: quote };
}

/** Returns the source of reports below `root`. */
export function tsmSource(root: string = '/', files?: KernelFiles): EvidenceSource {
  return {
    name: 'configfs-tsm',
    check: async () => checkTsm(root, files),
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

/** Returns the agent's events in a register: the configuration, the keys, the separator. */
function agentLog(kind: 'tpm' | 'rtmr'): readonly LoggedEvent[] {
  return [`${kind}-event-log`, keysLog(kind)].flatMap((name) => {
    const bytes = readIfThere(join(measurementDirectory, name));
    return bytes === undefined ? [] : parseTcgLog(bytes, name);
  });
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined;
    throw new MeasurementError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
