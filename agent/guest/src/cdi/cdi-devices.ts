import { closeSync, fstatSync, openSync, readdirSync, readFileSync, statfsSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { hasCode, Open } from '@kata-agent/linux';
import type { AllowedDevice, GuestAccess } from '../guest-access.js';
import type { Wanted } from '../device/find-device.js';
import { GuestError } from '../guest-error.js';
import { quotedName } from '../quoted.js';
import type { OciSpec } from '../request/oci-spec.js';
import { type CdiSpec, type ContainerEdits, parseCdiSpec } from './cdi-spec.js';
import { type CdiName, requestedCdiDevices } from './requested-cdi-devices.js';

/** The names that the specification's own library reads. */
const specName = /\.(?:json|yaml)$/;

const writableByOthers = 0o022;

/** Bytes. The specification of a guest with 16 GPUs has about 100 kB. */
const maxSize = 4 * 1024 * 1024;

/** File systems whose content is another machine's, by statfs(2) magic number (include/uapi/linux/magic.h). */
const foreignFileSystems: ReadonlySet<number> = new Set([
  0x65735546, // fuse, virtiofs
  0x01021997, // 9p
  0x6969, // nfs
  0xff534d42, // cifs
  0xfe534d42, // smb2
  0x73757245, // coda
  0x00c36400, // ceph
]);

export interface CdiOptions {
  /** Directories of specifications; a later one has precedence. */
  readonly directories: readonly string[];
  /** The setting `cdi_timeout`. */
  readonly timeoutSeconds: number;
  /** The setting `visible_cdi_devices`. */
  readonly visibleDevices: boolean;
}

/** The edits of the devices that a container gets, in order. */
export interface NamedEdits {
  /** The device for which they are made first. */
  readonly device: string;
  readonly edits: ContainerEdits;
}

/** A specification that is used, and where it is. */
interface Source {
  readonly path: string;
  readonly priority: number;
  readonly spec: CdiSpec;
}

/**
 * The CDI devices of the guest. A request names devices; what containers get for a name is in specifications of the
 * guest, which its image has or a program of the image writes when a device appears.
 */
export class CdiDevices {
  readonly #options: CdiOptions;
  readonly #access: Pick<GuestAccess, 'privileged' | 'devices'>;
  readonly #files: CdiSpecFiles;
  #parseYaml: ParseYaml | undefined;

  constructor(options: CdiOptions, access: Pick<GuestAccess, 'privileged' | 'devices'>) {
    this.#options = options;
    this.#access = access;
    this.#files = new CdiSpecFiles(options.directories);
  }

  /** Loads what reading specifications needs; undefined: the container requests no CDI device, or it is loaded. */
  prepare(spec: OciSpec): Promise<void> | undefined {
    return this.#requested(spec).length === 0 || this.#parseYaml !== undefined ? undefined : this.#load();
  }

  async #load(): Promise<void> {
    // Only the default export: the library is CommonJS, and in a bundle it has no other.
    const { parse } = (await import('yaml')).default;
    this.#parseYaml = (text) => parse(text, { maxAliasCount: 0 });
  }

  /**
   * Returns what a container's creation waits for: that specifications define all its CDI devices. A specification can
   * appear after the guest's start, when the device's driver is loaded.
   *
   * @throws GuestError `invalid` for a malformed name, `refused` for one that the configuration does not allow
   */
  wanted(spec: OciSpec): readonly Wanted[] {
    const requested = this.#requested(spec);
    if (requested.length === 0) return [];
    const { timeoutSeconds } = this.#options;
    const what = `CDI device ${requested.map(({ text }) => text).join(', ')}`;
    return [
      {
        what,
        seconds: timeoutSeconds,
        find: () => (this.#missing(requested).length === 0 ? what : undefined),
        absent: () => this.#absent(requested),
      },
    ];
  }

  /**
   * Returns the edits of a container's CDI devices: for each device those of its specification, if it is the first of
   * that specification, and its own (container-device-interface, pkg/cdi/cache.go).
   *
   * @throws GuestError `not-found`
   */
  edits(spec: OciSpec): readonly NamedEdits[] {
    const requested = this.#requested(spec);
    if (requested.length === 0) return [];
    if (this.#missing(requested).length > 0) throw this.#absent(requested);
    const sources = this.#sources();
    const made = new Set<CdiSpec>();
    return requested.flatMap((name) => {
      const [source] = definitions(name, sources);
      const own = source?.spec.devices.get(name.device);
      if (source === undefined || own === undefined) return [];
      const first = !made.has(source.spec);
      made.add(source.spec);
      return [...(first ? [source.spec.edits] : []), own].map((edits) => ({ device: name.text, edits }));
    });
  }

  #requested(spec: OciSpec): readonly CdiName[] {
    const requested = requestedCdiDevices(spec, this.#options);
    const { privileged, devices } = this.#access;
    if (privileged === 'allow') return requested;
    const refused = requested.find(({ text }) => !devices.some((each) => isNamed(each, text)));
    if (refused === undefined) return requested;
    throw new GuestError(
      'refused',
      `CDI device ${quotedName(refused.text)} is not an allowed device; help: add ${quotedName(refused.text)} to [agent] devices`,
    );
  }

  /**
   * Returns the devices that no specification defines yet.
   *
   * @throws GuestError `not-found` for one that can never appear: its kind is there without it, as in Kata's agent
   */
  #missing(requested: readonly CdiName[]): readonly CdiName[] {
    const sources = this.#sources();
    const missing = requested.filter((name) => definitions(name, sources).length === 0);
    const never = missing.find(({ kind }) => sources.some(({ spec }) => spec.kind === kind));
    if (never === undefined) return missing;
    throw new GuestError(
      'not-found',
      `CDI device ${quotedName(never.text)} does not exist: the specifications of its kind do not define it`,
    );
  }

  #absent(requested: readonly CdiName[]): GuestError {
    const { directories, timeoutSeconds } = this.#options;
    const names = this.#missing(requested).map(({ text }) => quotedName(text));
    const problems = this.#read().flatMap(({ path, content }) =>
      'problem' in content ? [`; ${path} ${content.problem}`] : [],
    );
    return new GuestError(
      'not-found',
      `no specification in ${directories.join(' or ')} defines CDI device ${names.join(', ')} after ${timeoutSeconds} seconds (cdi_timeout)${problems.join('')}`,
    );
  }

  #sources(): readonly Source[] {
    return this.#read().flatMap(({ path, priority, content }) =>
      'problem' in content ? [] : [{ path, priority, spec: content }],
    );
  }

  #read(): readonly CdiSpecFile[] {
    return this.#files.read(
      this.#parseYaml ??
        (() => {
          throw new Error('the YAML library is not loaded');
        }),
    );
  }
}

/**
 * Returns the definition of a device with the highest precedence; none if it is not defined.
 *
 * @throws GuestError `precondition`: two files of one directory define it
 */
function definitions({ text, kind, device }: CdiName, sources: readonly Source[]): readonly Source[] {
  const all = sources.filter(({ spec }) => spec.kind === kind && spec.devices.has(device));
  const highest = Math.max(...all.map(({ priority }) => priority));
  const found = all.filter(({ priority }) => priority === highest);
  if (found.length < 2) return found;
  const paths = found.map(({ path }) => path).join(' and ');
  throw new GuestError('precondition', `CDI device ${quotedName(text)} is defined twice, in ${paths}`);
}

function isNamed(device: AllowedDevice, name: string): boolean {
  return device.kind === 'cdi' && device.name === name;
}

/** Parses YAML. Loaded on demand: the library is large, and most guests have no CDI specification. */
type ParseYaml = (text: string) => unknown;

/** A file of a specification directory. */
interface CdiSpecFile {
  readonly path: string;
  /** Position of its directory: a later one has precedence. */
  readonly priority: number;
  /** What was read, or why it is not used. */
  readonly content: CdiSpec | { readonly problem: string };
}

interface Parsed {
  readonly state: string;
  readonly content: CdiSpecFile['content'];
}

/**
 * Reads CDI specifications from directories. What a specification says is done with the guest's rights, so it must be the
 * guest's own: a regular file of root in a directory of root, neither writable by others, on a file system of the guest.
 */
export class CdiSpecFiles {
  readonly #directories: readonly string[];
  /** By path; files are read again only when they change, since a wait reads them ten times a second. */
  #parsed: Map<string, Parsed> = new Map();

  constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  read(parseYaml: ParseYaml): readonly CdiSpecFile[] {
    const parsed = new Map<string, Parsed>();
    const files = this.#directories.flatMap((directory, priority) =>
      this.#in(directory, parseYaml, parsed).map((file) => ({ ...file, priority })),
    );
    this.#parsed = parsed;
    return files;
  }

  #in(
    directory: string,
    parseYaml: ParseYaml,
    parsed: Map<string, Parsed>,
  ): readonly Omit<CdiSpecFile, 'priority'>[] {
    const opened = openIfThere(directory, Open.Directory);
    if (opened === undefined) return [];
    try {
      const problem = foreign(opened, fstatSync(opened));
      if (problem !== undefined) return [{ path: directory, content: { problem } }];
      const names = readdirSync(`/proc/self/fd/${opened}`).filter((name) => specName.test(name));
      return names.toSorted().flatMap((name) => {
        const path = join(directory, name);
        const file = this.#file(`/proc/self/fd/${opened}/${name}`, path, parseYaml);
        if (file === undefined) return [];
        parsed.set(path, file);
        return [{ path, content: file.content }];
      });
    } finally {
      closeSync(opened);
    }
  }

  /** `at`: the path below the descriptor of the directory. */
  #file(at: string, path: string, parseYaml: ParseYaml): Parsed | undefined {
    let fd: number | undefined;
    try {
      fd = openIfThere(at, Open.NoFollow | Open.NonBlock);
    } catch (error) {
      if (!hasCode(error, 'ELOOP', 'ENXIO')) throw error;
      return { state: '', content: { problem: 'is not a regular file' } };
    }
    if (fd === undefined) return undefined;
    try {
      const stat = fstatSync(fd);
      const { dev, ino, mtimeMs, ctimeMs, size } = stat;
      const state = [dev, ino, mtimeMs, ctimeMs, size].join(' ');
      const known = this.#parsed.get(path);
      if (known?.state === state) return known;
      const problem = problemOf(fd, stat);
      return { state, content: problem === undefined ? parse(fd, path, parseYaml) : { problem } };
    } finally {
      closeSync(fd);
    }
  }
}

function openIfThere(path: string, flags: number): number | undefined {
  try {
    return openSync(path, Open.ReadOnly | flags);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function problemOf(fd: number, stat: Stats): string | undefined {
  if (!stat.isFile()) return 'is not a regular file';
  if (stat.size > maxSize) return `has more than ${maxSize} bytes`;
  return foreign(fd, stat);
}

/** Returns why others than root of the guest can write a file or directory. */
function foreign(fd: number, { uid, mode }: Stats): string | undefined {
  if (uid !== 0) return 'does not belong to root';
  if ((mode & writableByOthers) !== 0) return 'is writable by others than root';
  return foreignFileSystems.has(statfsSync(`/proc/self/fd/${fd}`).type)
    ? 'is on a file system that is not the of the guest'
    : undefined;
}

/** A file that is being written is not valid yet, and will be read again when it has changed. */
function parse(fd: number, path: string, parseYaml: ParseYaml): CdiSpecFile['content'] {
  const text = readFileSync(fd, 'utf8');
  try {
    return parseCdiSpec(path.endsWith('.json') ? JSON.parse(text) : parseYaml(text));
  } catch (error) {
    return { problem: `is not a valid CDI specification: ${(error as Error).message}` };
  }
}
