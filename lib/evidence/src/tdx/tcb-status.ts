import type { JsonFields } from './json-fields.js';
import { EvidenceFormError } from '../evidence-error.js';

/** Statuses that a values file may accept. `TDRelaunch…`: the module is updated, and the guest was started before. */
export const acceptableStatuses = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
] as const;

export type AcceptableStatus = (typeof acceptableStatuses)[number];

/** The status of a platform. `Revoked` and `NotSupported` are never accepted. */
export type TcbStatus = AcceptableStatus | 'Revoked' | 'NotSupported';

/** A status with the advisories that belong to it. */
export interface StatusFinding {
  readonly status: TcbStatus;
  readonly advisories: readonly string[];
}

const published: readonly TcbStatus[] = [
  ...acceptableStatuses.filter((status) => !status.startsWith('TD')),
  'Revoked',
];

/** Reads status and advisories of a level in a document of Intel. Throws an EvidenceFormError. */
export function readStatus(level: JsonFields): StatusFinding {
  const text = level.text('tcbStatus');
  const status = published.find((each) => each === text);
  if (status === undefined) throw new EvidenceFormError(`the TCB status ${JSON.stringify(text)} is unknown`);
  return { status, advisories: level.texts('advisoryIDs') };
}
