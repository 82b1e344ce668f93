import { join } from 'node:path';
import { At, Descriptor, MountAttribute, Open, Pace, type Syscalls } from '@kata-agent/linux';
import type { CheckedFiles } from '../content/checked-files.js';
import type { SecretVolumes } from '../confidential/secret-volumes.js';
import type { GuestAccess } from '../guest-access.js';
import type { ImageVolumes } from '../container/image-volumes.js';
import type { UndoStack } from '../undo-stack.js';
import type { OciMount } from '../request/oci-spec.js';
import type { BoundDevice } from '../spec/device-rules.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import { loadSecretVolumes } from '../confidential/load-secret-volumes.js';
import { type PermittedSecret, type SecretPermits, secretPermits } from '../confidential/secret-permits.js';
import { MemoryCopies } from '../source/memory-copies.js';
import type { StorageTable } from '../storage/storage-table.js';
import { cleanMount, isBind } from '../spec/mounts.js';
import type { Creation } from './creation.js';
import type { Decided } from './decide.js';
import type { HostMedia } from '../media/host-media.js';
import { type NamedSource, type OpenSource, usedSource } from '../source/open-source.js';
import { openSourceOf } from '../source/open-source-of.js';
import type { OwnPlaces } from '../source/other-containers.js';
import type { UsedSource } from '../source/place-owner.js';
import type { PodSources } from '../source/pod-sources.js';
import type { SourceRules } from '../source/source-place.js';
import { StagedMounts } from '../source/staged-mounts.js';

export interface SourceServices {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly paths: GuestPaths;
  readonly access: GuestAccess;
  readonly podSources: PodSources;
  readonly storages: StorageTable;
  /** Undefined: all that the host puts into a container are unsealed. */
  readonly secrets: readonly PermittedSecret[] | undefined;
}

export interface OpenedSources {
  /** Nothing is opened yet: each phase opens what it uses. */
  readonly sources: ContainerSources;
  /** Of the sources. */
  readonly directory: string;
  readonly copies: MemoryCopies;
  readonly permits: SecretPermits;
}

/** Prepares the table that opens each source once, checks it and copies it. */
export async function openSources({
  sandbox: { signal },
  decided: { id, bundle, spec, root, nameInPod, places, dataHub },
  services: { syscalls, media, paths, access, podSources, storages, secrets },
  made,
}: Creation<SourceServices> & {
  readonly decided: Decided;
  /** A source in a storage is what the storage has there. */
  readonly used: readonly string[];
}): Promise<OpenedSources> {
  const directory = join(bundle, 'mounts');
  const copies = new MemoryCopies({ directory: join(bundle, 'copies'), syscalls, made });
  const mountPlaces = (spec.mounts ?? []).map((mount) => cleanMount(mount).destination);
  const permits = secretPermits(secrets, nameInPod, mountPlaces);
  const sources = new ContainerSources({
    container: id,
    directory,
    paths,
    access,
    syscalls,
    media,
    podSources,
    ownUsers: root !== undefined,
    made,
    places,
    throughStorages: (source) => storages.throughStorages(source),
    secrets: await loadSecretVolumes(dataHub, { permits, copies, paths, media, signal }),
  });
  return { sources, directory, copies, permits };
}

interface Parts extends SourceRules {
  readonly container: string;
  /** Directory for the copies; created here. */
  readonly directory: string;
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly podSources: PodSources;
  /** The container has a user namespace. */
  readonly ownUsers: boolean;
  readonly made: UndoStack;
  /** Records each opened source, and refuses those of other containers. */
  readonly places: OwnPlaces;
  /** Returns a source with the sources of the storages that it lies in. */
  readonly throughStorages: (source: UsedSource) => readonly UsedSource[];
  /** Undefined: sealed secrets stay sealed. */
  readonly secrets: SecretVolumes | undefined;
}

/** The sources of one container that is being created: each is opened once, and the runtime mounts a copy of it. */
class ContainerSources {
  readonly #parts: Parts;
  readonly #staged: StagedMounts;
  readonly #devices: BoundDevice[] = [];
  #sysfs: string | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#staged = new StagedMounts(parts.directory, parts, parts.made);
  }

  /** The character devices among the sources of the bind mounts that the container may open. */
  get devices(): readonly BoundDevice[] {
    return this.#devices;
  }

  /** The copy of the guest's sysfs that is mounted for a container with a user namespace; undefined: there is none. */
  get sysfs(): string | undefined {
    return this.#sysfs;
  }

  /** Opens the container's root. The caller closes the descriptor. */
  openRoot(path: string): Promise<NamedSource> {
    return this.#open(path, 'root.path', { isRoot: true, access: this.#parts.access });
  }

  /**
   * Returns a container's mounts for the runtime: bind mounts with a copy as the source, others unchanged. Yields to
   * the event loop, however many there are.
   *
   * @param access what the sources are checked against, if it differs from that of requests.
   * @param files checks the content of some; undefined: of none.
   * @param volumes fills some; absent: none.
   */
  async stageAll(
    mounts: readonly OciMount[],
    {
      access = this.#parts.access,
      files,
      volumes,
    }: {
      readonly access?: GuestAccess;
      readonly files?: CheckedFiles | undefined;
      readonly volumes?: ImageVolumes;
    } = {},
  ): Promise<readonly OciMount[]> {
    const pace = new Pace();
    const staged: OciMount[] = [];
    for (const mount of mounts) {
      await pace.step();
      staged.push(await this.#stage(mount, access, { files, volumes }));
    }
    this.#staged.check();
    return staged;
  }

  async #stage(
    mount: OciMount,
    access: GuestAccess,
    {
      files,
      volumes,
    }: { readonly files: CheckedFiles | undefined; readonly volumes: ImageVolumes | undefined },
  ): Promise<OciMount> {
    if (mount.type === 'sysfs' && this.#parts.ownUsers) return this.#copyOfSysfs(mount);
    if (!isBind(mount)) return mount;
    const options = mount.options ?? [];
    const ofImage = await volumes?.sourceOf(mount);
    if (ofImage !== undefined)
      return { ...mount, source: await this.#place(ofImage, options), options: restricted(options, ofImage) };
    const named = `source of the mount at ${JSON.stringify(mount.destination)}`;
    const opened = await this.#open(mount.source ?? '', named, { isRoot: false, access });
    const source = await this.#replaced(opened, mount, { named, files });
    // guest_paths that lists /dev or a directory in it makes devices visible; only one that it names can be opened.
    const isNamed = source.kind !== 'kernel' || source.below === '';
    if (source.device !== undefined && isNamed)
      this.#devices.push({ ...source.device, writable: source.writable });
    return {
      ...mount,
      source: await this.#place(source, options),
      options: restricted(options, source),
    };
  }

  /**
   * The kernel lets the user namespace that owns the network namespace mount sysfs, and the guest owns that of its pod.
   * The container gets a copy of the guest's mount instead, which has the same content.
   */
  #copyOfSysfs(mount: OciMount): OciMount {
    const { syscalls, paths } = this.#parts;
    const options = mount.options ?? [];
    const isReadOnly = options.findLast((option) => option === 'ro' || option === 'rw') === 'ro';
    const source = {
      descriptor: new Descriptor(syscalls, syscalls.openat(At.Cwd, paths.sys, Open.Path | Open.Directory, 0)),
      kind: 'guest',
      base: paths.sys,
      path: paths.sys,
      below: '',
      isDirectory: true,
      isFile: false,
      isDevice: false,
      device: undefined,
      writable: !isReadOnly,
    } as const;
    const attributes = MountAttribute.NoSuid | MountAttribute.NoDev | MountAttribute.NoExec;
    const place = this.#staged.stage(source, { recursive: false, attributes });
    this.#sysfs = place;
    return { ...mount, type: 'bind', source: place, options: [...options, 'bind'] };
  }

  async #open(
    path: string,
    named: string,
    { isRoot, access }: { readonly isRoot: boolean; readonly access: GuestAccess },
  ): Promise<NamedSource> {
    const { container, places, throughStorages } = this.#parts;
    const source = await openSourceOf({ path, named, container, isRoot }, { ...this.#parts, access });
    try {
      // Where privileged containers are allowed, two containers may share a root, as with Kata's agent.
      const use = isRoot && access.privileged === 'refuse' ? 'own' : 'volume';
      places.add(throughStorages(usedSource(source, use)));
      return source;
    } catch (error) {
      source.descriptor.close();
      throw error;
    }
  }

  async #replaced(
    source: OpenSource,
    mount: OciMount,
    { named, files }: { readonly named: string; readonly files: CheckedFiles | undefined },
  ): Promise<OpenSource> {
    const { secrets } = this.#parts;
    let current = source;
    try {
      if (files !== undefined) current = await files.replaced(current, mount, named);
      if (secrets === undefined || current !== source) return current;
      return await secrets.replaced({ source, destination: mount.destination, named });
    } catch (error) {
      current.descriptor.close();
      throw error;
    }
  }

  async #place(source: OpenSource, options: readonly string[]): Promise<string> {
    const { access, podSources } = this.#parts;
    const propagates = options.some((option) => /^r?(?:shared|slave)$/.test(option));
    if (propagates && access.privileged === 'allow' && source.isDirectory) return podSources.use(source);
    return this.#staged.stage(source, {
      recursive: options.includes('rbind'),
      attributes: hasDevices(source) ? 0 : MountAttribute.NoDev,
    });
  }
}

/** Whether device nodes of a source are for the container. */
function hasDevices({ isDevice, kind }: OpenSource): boolean {
  return isDevice || kind === 'guest';
}

/**
 * Returns the options with what the copy of a source is restricted to: the OCI runtime mounts it again with the options
 * alone, so that `rw` would make it writable, and a mount without `nodev` would have devices.
 */
function restricted(options: readonly string[], source: OpenSource): readonly string[] {
  const dropped = [
    ...(source.writable ? [] : ['rw', 'ro', 'rrw', 'rro']),
    ...(hasDevices(source) ? [] : ['dev', 'rdev', 'nodev']),
  ];
  const kept = options.filter((option) => !dropped.includes(option));
  return [...kept, ...(source.writable ? [] : ['ro']), ...(hasDevices(source) ? [] : ['nodev'])];
}
