import type { AllowedDevice, GuestAccess } from '../access/guest-access.js';
import type { Wanted } from '../device/find-device.js';
import { GuestError } from '../error/guest-error.js';
import { quotedName } from '../quoted.js';
import type { OciSpec } from '../request/oci-spec.js';
import type { CdiSpec } from './cdi-spec.js';
import type { ContainerEdits } from './container-edits.js';
import { type CdiName, requestedCdiDevices } from './requested-cdi-devices.js';
import { type CdiSpecFile, CdiSpecFiles, type ParseYaml } from './spec-files.js';

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
