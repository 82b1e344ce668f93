import { EvidenceFormError } from '../evidence-error.js';
import { JsonFields } from './json-fields.js';
import { readStatus, type StatusFinding } from './tcb-status.js';

/** Intel's TCB info of version 3 for TDX: which SVNs of a family of platforms have which status. */
export interface TcbInfo {
  /** Milliseconds of the epoch. */
  readonly issueDate: number;
  /** Milliseconds of the epoch. */
  readonly nextUpdate: number;
  /** In hex, in lower case. */
  readonly fmspc: string;
  /** In hex, in lower case. */
  readonly pceId: string;
  /** The module whose major version is 0. */
  readonly module: ModuleIdentity;
  /** The modules of other major versions, by `TDX_` and the version in hex. */
  readonly modules: readonly (ModuleIdentity & {
    readonly id: string;
    readonly levels: readonly SvnLevel[];
  })[];
  /** Highest first, in the order of Intel's library. */
  readonly levels: readonly TcbLevel[];
}

export interface ModuleIdentity {
  readonly mrSigner: Uint8Array;
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
}

/** The status of an enclave or module of at least this SVN. */
export interface SvnLevel extends StatusFinding {
  readonly isvSvn: number;
}

export interface TcbLevel extends StatusFinding {
  readonly sgxSvns: readonly number[];
  readonly tdxSvns: readonly number[];
  readonly pceSvn: number;
}

const componentCount = 16;

/** Parses the member `tcbInfo` of Intel's answer. Throws an EvidenceFormError. */
export function parseTcbInfo(json: unknown): TcbInfo {
  const info = new JsonFields(json, 'tcbInfo');
  if (info.text('id') !== 'TDX' || info.integer('version', 255) !== 3)
    throw new EvidenceFormError(
      'it is not a TCB info of version 3 for TDX; help: use tdx/certification/v4/tcb',
    );
  const levels = info.list('tcbLevels', parseLevel);
  if (levels.length === 0) throw new EvidenceFormError('tcbInfo.tcbLevels is empty');
  return {
    issueDate: info.time('issueDate'),
    nextUpdate: info.time('nextUpdate'),
    fmspc: Buffer.from(info.bytes('fmspc', 6)).toString('hex'),
    pceId: Buffer.from(info.bytes('pceId', 2)).toString('hex'),
    module: parseModule(info.inside('tdxModule')),
    modules: info.list('tdxModuleIdentities', (module) => ({
      ...parseModule(module),
      id: module.text('id').toUpperCase(),
      levels: module.list('tcbLevels', parseSvnLevel),
    })),
    levels: [...levels].sort(compareLevels),
  };
}

export function parseSvnLevel(level: JsonFields): SvnLevel {
  return { ...readStatus(level), isvSvn: level.inside('tcb').integer('isvsvn', 0xffff) };
}

function parseModule(module: JsonFields): ModuleIdentity {
  return {
    mrSigner: module.bytes('mrsigner', 48),
    attributes: module.bytes('attributes', 8),
    attributesMask: module.bytes('attributesMask', 8),
  };
}

function parseLevel(level: JsonFields): TcbLevel {
  const tcb = level.inside('tcb');
  const svns = (name: string): readonly number[] => {
    const list = tcb.list(name, (component) => component.integer('svn', 255));
    if (list.length !== componentCount)
      throw new EvidenceFormError(`${name} has ${list.length} components, not ${componentCount}`);
    return list;
  };
  return {
    ...readStatus(level),
    sgxSvns: svns('sgxtcbcomponents'),
    tdxSvns: svns('tdxtcbcomponents'),
    pceSvn: tcb.integer('pcesvn', 0xffff),
  };
}

/** Orders levels from the highest: SGX components, then PCE SVN, then TDX components, each by its first difference. */
function compareLevels(one: TcbLevel, other: TcbLevel): number {
  const order = (level: TcbLevel): readonly number[] => [...level.sgxSvns, level.pceSvn, ...level.tdxSvns];
  const left = order(one);
  const right = order(other);
  const at = left.findIndex((svn, index) => svn !== right[index]);
  return (right[at] ?? 0) - (left[at] ?? 0);
}
