import { equalBytes, toHex } from '../byte-reader.js';
import type { Platform } from './pck-chain.js';
import type { ModuleIdentity, StatusFinding, TcbInfo, TcbLevel, TcbStatus } from './tcb-info.js';
import type { TdReport } from './quote.js';

/** Returns why Intel's TCB info does not fit platform and module; undefined if it does. */
export function tcbInfoFault(report: TdReport, platform: Platform, info: TcbInfo): string | undefined {
  if (info.pceId !== platform.pceId)
    return `the PCE id is ${platform.pceId}, and the TCB info is for ${info.pceId}`;
  const version = report.teeTcbSvn[1] ?? 0;
  const module = version === 0 ? info.module : findModule(info, version);
  if (module === undefined) return `the TCB info has no module ${moduleId(version)}`;
  return moduleFault(report, module);
}

/**
 * Returns the status of a platform, as Intel's quote verification library computes it: the level of the SVNs, made worse by
 * the status of the TDX module, better by an update of the module without a restart, and worse by the quoting enclave's.
 */
export function evaluateTcb(
  report: TdReport,
  platform: Platform,
  info: TcbInfo,
  quotingEnclave: StatusFinding | undefined,
): StatusFinding {
  const reached = info.levels.filter((level) => reachesSgx(platform, level));
  const sgx = reached[0];
  const tdx = reached.find((level) => reachesTdx(report.teeTcbSvn, level));
  const module = moduleStatus(report.teeTcbSvn, info);
  if (sgx === undefined || tdx === undefined || module.status === 'NotSupported')
    return { status: 'NotSupported', advisories: [] };
  let status = converge(tdx.status, module.status);
  const relaunch = status !== 'Revoked' && relaunchStatus(report, info, sgx.status, status, module.status);
  if (relaunch) status = relaunch;
  if (quotingEnclave !== undefined) status = converge(status, quotingEnclave.status);
  const advisories = [tdx, module, ...(quotingEnclave === undefined ? [] : [quotingEnclave])].flatMap(
    (finding) => finding.advisories,
  );
  return { status, advisories: [...new Set(advisories)] };
}

function reachesSgx(platform: Platform, level: TcbLevel): boolean {
  return (
    platform.pceSvn >= level.pceSvn &&
    level.sgxSvns.every((svn, index) => (platform.componentSvns[index] ?? 0) >= svn)
  );
}

/** With a major version the module's SVNs, bytes 0 and 1, are compared with its own identity instead. */
function reachesTdx(teeTcbSvn: Uint8Array, level: TcbLevel): boolean {
  const first = teeTcbSvn[1] === 0 ? 0 : 2;
  return level.tdxSvns.every((svn, index) => index < first || (teeTcbSvn[index] ?? 0) >= svn);
}

function moduleStatus(teeTcbSvn: Uint8Array, info: TcbInfo): StatusFinding {
  const [isvSvn = 0, version = 0] = teeTcbSvn;
  if (version === 0) return { status: 'UpToDate', advisories: [] };
  const level = findModule(info, version)?.levels.find((each) => isvSvn >= each.isvSvn);
  return level ?? { status: 'NotSupported', advisories: [] };
}

/** Makes a status worse by that of a part: out of date, revoked or not supported. */
function converge(status: TcbStatus, part: TcbStatus): TcbStatus {
  if (part === 'Revoked' || part === 'NotSupported') return part;
  if (part !== 'OutOfDate') return status;
  if (status === 'UpToDate' || status === 'SWHardeningNeeded' || status === 'TDRelaunchAdvised')
    return 'OutOfDate';
  const configuration: readonly TcbStatus[] = [
    'ConfigurationNeeded',
    'ConfigurationAndSWHardeningNeeded',
    'TDRelaunchAdvisedConfigurationNeeded',
  ];
  return configuration.includes(status) ? 'OutOfDateConfigurationNeeded' : status;
}

const upToDate: readonly TcbStatus[] = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
];

/** Returns a status if only the module was out of date at the start of the guest, and is not any more. */
function relaunchStatus(
  report: TdReport,
  info: TcbInfo,
  sgx: TcbStatus,
  tdx: TcbStatus,
  module: TcbStatus,
): TcbStatus | undefined {
  const { teeTcbSvn2 } = report;
  const [newest] = info.levels;
  if (teeTcbSvn2 === undefined || newest === undefined || module !== 'OutOfDate') return undefined;
  if (!upToDate.includes(sgx) || (tdx !== 'OutOfDate' && tdx !== 'OutOfDateConfigurationNeeded'))
    return undefined;
  const [isvSvn = 0, version = 0, loader = 0] = teeTcbSvn2;
  if (version !== 0 && findModule(info, version) === undefined) return 'NotSupported';
  const needed = version === 0 ? newest.tdxSvns[0] : findModule(info, version)?.levels[0]?.isvSvn;
  if (needed === undefined || isvSvn < needed || loader < (newest.tdxSvns[2] ?? 0)) return undefined;
  const configuration = [sgx, tdx].some((status) => status.includes('Configuration'));
  return configuration ? 'TDRelaunchAdvisedConfigurationNeeded' : 'TDRelaunchAdvised';
}

function findModule(info: TcbInfo, version: number): TcbInfo['modules'][number] | undefined {
  return info.modules.find(({ id }) => id === moduleId(version));
}

function moduleId(version: number): string {
  return `TDX_${version.toString(16).toUpperCase().padStart(2, '0')}`;
}

function moduleFault(report: TdReport, module: ModuleIdentity): string | undefined {
  if (!equalBytes(report.mrSignerSeam, module.mrSigner))
    return `MRSIGNERSEAM is ${toHex(report.mrSignerSeam)}, unlike the TCB info`;
  const masked = report.seamAttributes.map((byte, at) => byte & (module.attributesMask[at] ?? 0));
  return equalBytes(masked, module.attributes)
    ? undefined
    : `SEAMATTRIBUTES are ${toHex(report.seamAttributes)}, unlike the TCB info`;
}
