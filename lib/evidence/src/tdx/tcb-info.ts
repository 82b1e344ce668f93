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

const published: readonly TcbStatus[] = [
  ...acceptableStatuses.filter((status) => !status.startsWith('TD')),
  'Revoked',
];

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

/** Reads members of a document of Intel, which may have others that are not known here. */
export class JsonFields {
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(json: unknown, path: string) {
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new EvidenceFormError(`${path} is not an object`);
    this.#members = json as Record<string, unknown>;
    this.#path = path;
  }

  text(name: string): string {
    const value = this.#members[name];
    if (typeof value !== 'string') throw this.#error(name, 'is not a text');
    return value;
  }

  integer(name: string, maximum: number): number {
    const value = this.#members[name];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > maximum)
      throw this.#error(name, `is not an integer from 0 to ${maximum}`);
    return value;
  }

  bytes(name: string, length: number): Uint8Array {
    const text = this.text(name);
    if (!/^[0-9a-fA-F]*$/.test(text) || text.length !== 2 * length)
      throw this.#error(name, `is not ${length} bytes in hex`);
    return Buffer.from(text, 'hex');
  }

  /** Returns a time in milliseconds of the epoch. */
  time(name: string): number {
    const text = this.text(name);
    const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? Date.parse(text) : Number.NaN;
    if (Number.isNaN(time)) throw this.#error(name, 'is not a time such as 2026-01-31T12:00:00Z');
    return time;
  }

  inside(name: string): JsonFields {
    return new JsonFields(this.#members[name], `${this.#path}.${name}`);
  }

  /** Returns the items of a list; a list that is not there has none. */
  list<Item>(name: string, parse: (item: JsonFields) => Item): readonly Item[] {
    const value = this.#members[name] ?? [];
    if (!Array.isArray(value)) throw this.#error(name, 'is not a list');
    return value.map((item: unknown, index) =>
      parse(new JsonFields(item, `${this.#path}.${name}[${index}]`)),
    );
  }

  texts(name: string): readonly string[] {
    const value = this.#members[name] ?? [];
    if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
      throw this.#error(name, 'is not a list of texts');
    return value as string[];
  }

  #error(name: string, fault: string): EvidenceFormError {
    return new EvidenceFormError(`${this.#path}.${name} ${fault}`);
  }
}

export type AcceptableStatus = (typeof acceptableStatuses)[number];

/** The status of a platform. `Revoked` and `NotSupported` are never accepted. */
export type TcbStatus = AcceptableStatus | 'Revoked' | 'NotSupported';

/** A status with the advisories that belong to it. */
export interface StatusFinding {
  readonly status: TcbStatus;
  readonly advisories: readonly string[];
}

/** Reads status and advisories of a level in a document of Intel. Throws an EvidenceFormError. */
function readStatus(level: JsonFields): StatusFinding {
  const text = level.text('tcbStatus');
  const status = published.find((each) => each === text);
  if (status === undefined) throw new EvidenceFormError(`the TCB status ${JSON.stringify(text)} is unknown`);
  return { status, advisories: level.texts('advisoryIDs') };
}
