import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { visitNamespace } from '@kata-agent/linux';
import { isOfSandbox } from '@kata-agent/catalogue/requested-root';
import { cdiInjection, withEdits } from '../cdi/injection.js';
import type { CreateContainer, Storage } from '../request/actions.js';
import { cgroupPathsOf } from '../cgroup/cgroup-paths.js';
import { killAll } from '../cgroup/freeze-and-kill.js';
import { narrowDevices } from '../cgroup/cgroup-limits.js';
import { checkBoundNodes, guestDevices } from '../device/guest-devices.js';
import { attachDevices, vfioAddresses } from '../device/attach-devices.js';
import { type PciAddresses, withGuestAddresses } from '../device/pci-environment.js';
import { type HookSetting, mergeHooks } from '../hooks/guest-hooks.js';
import type { OciHooks, OciProcess, OciSpec } from '../request/oci-spec.js';
import { onlineCpus } from '../resource/online.js';
import { create, remove } from '../runtime/commands.js';
import { checkSystemdBus } from '../runtime/runtime-features.js';
import { admitMounts } from './admission.js';
import { buildSpec } from './build-spec.js';
import { encodeSpec } from '../spec/encode-spec.js';
import { bindLocalVolumes } from '../storage/local-volumes.js';
import { cleanMount, isBind, mountRules } from '../spec/mounts.js';
import { mappedRoot, requestedNetwork, type SharedNamespaces } from '../spec/namespaces.js';
import { ContainerSources } from './container-sources.js';
import { MemoryCopies } from '../source/memory-copies.js';
import { NestedMounts } from '../source/nested-mounts.js';
import { openNetworkNamespace, sysctlsOfNetwork } from '../container/network-namespace.js';
import { CheckedFiles, interfaceAddresses } from '../content/checked-files.js';
import { OwnPlaces, type PlaceOwner, type UsedSource } from '../source/other-containers.js';
import { type SecretPermits, secretPermits } from '../confidential/secret-permits.js';
import { loadSecretVolumes } from '../confidential/load-secret-volumes.js';
import { notingHub } from '../confidential/data-hub.js';
import { checkPauseMounts } from '../image/check-pause-mounts.js';
import { loadAndMountOwnRoot } from '../image/load-own-root.js';
import { withPauseProcess } from '../image/pause-bundle.js';
import { pulledRootOf } from '../image/pulled-root.js';
import { refuseScratch, type WithoutScratch, withoutScratch } from '../image/store/scratch-disk.js';
import { pauseRootOf, placeVerifiedRoot, usedStorages } from '../image/verified-root.js';
import { bundleOf, makeBundle } from '../container/bundle.js';
import { checkBoundingSet } from '../container/process-status.js';
import { Container } from '../container/container.js';
import { reservedPathsOf } from '../container/reserved-paths.js';
import type {
  CgroupPart,
  GuestContext,
  RuntimePart,
  SettingsPart,
  StoragePart,
  SystemPart,
} from '../context/guest-context.js';
import { ImageVolumes } from '../container/image-volumes.js';
import { persistContainer } from '../state/saved-state.js';
import { mountsOf } from '../container/mounts-of.js';
import { launchProcess } from '../container/launch-process.js';
import { placeRootfs, resolvConfFor } from './rootfs.js';
import { namespacesOf } from '../container/namespace-sysctls.js';
import { PinnedNamespaces } from '../container/pinned-namespaces.js';
import { type FindContainer, shareMounts } from '../container/share-mounts.js';
import { refusedDestinations } from '../container/refuse-links.js';
import { podNetwork, SysctlChanges, wholeGuest } from '../container/sysctl-changes.js';
import { UndoStack } from '../undo-stack.js';

/** The parts of the guest that creation uses. */
type CreationContext = SettingsPart &
  SystemPart &
  RuntimePart &
  CgroupPart &
  StoragePart &
  Pick<GuestContext, 'devices' | 'disks' | 'vfio' | 'cdi' | 'records'>;

/** Values that a container gets from its sandbox. */
export interface FromSandbox {
  readonly hostname: string;
  readonly resolvConf: string | undefined;
  readonly shared: SharedNamespaces;
  /** The OCI hooks of the guest image, for all containers. */
  readonly hooks: OciHooks | undefined;
  /** Its other containers. */
  readonly find: FindContainer;
  /** Its other containers, including those being created, with their opened sources. */
  readonly others: () => readonly (PlaceOwner & { readonly id: string })[];
  /** Places of removed containers that no other container has. */
  readonly removed: () => readonly PlaceOwner[];
  /** Receives each opened source. */
  readonly opened: UsedSource[];
  /** Aborted when the call is cancelled or its deadline has passed. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Creates a container up to the point where its first process waits for `start`. Each step with a side effect pushes
 * its undo, so that a failure at any step leaves nothing behind (S13), and removal runs the same steps.
 */
export async function createContainer(
  action: CreateContainer,
  sandbox: FromSandbox,
  context: CreationContext,
): Promise<Container> {
  const made = new UndoStack();
  try {
    return await build(action, sandbox, context, made);
  } catch (error) {
    for (const failure of await made.unwind()) {
      context.log('error', `after a failed create: ${failure.message}`, { container: action.id });
    }
    throw error;
  }
}

/** Returns the root that the guest gets itself, if it does, and the other storages. */
function rootAndStorages(
  action: Pick<CreateContainer, 'id' | 'spec' | 'storages' | 'sharedMounts'>,
  context: Pick<GuestContext, 'paths' | 'verifiedLayers'>,
): { readonly pulled: Storage | undefined; readonly storages: readonly Storage[] } {
  const { spec, sharedMounts } = action;
  const pulled = pulledRootOf(action, context.paths);
  const own = pulled ?? (context.verifiedLayers ? pauseRootOf(action, context.paths) : undefined);
  if (own !== undefined && isOfSandbox(spec.annotations ?? {}))
    checkPauseMounts(spec.mounts ?? [], sharedMounts);
  const storages = usedStorages(action, context).filter((storage) => storage !== pulled);
  return { pulled: own, storages };
}

/** Separates the disk for images. In a guest that keeps images in memory it is an ordinary device. */
function scratchOf(
  request: Pick<CreateContainer, 'spec' | 'devices'>,
  { images, imageStore }: Pick<GuestContext, 'images' | 'imageStore'>,
): WithoutScratch {
  if (images?.pack !== undefined || imageStore !== undefined) return withoutScratch(request);
  return { spec: request.spec, devices: request.devices ?? [], scratch: undefined };
}

async function build(
  { id, storages: all, sharedMounts, authorizeRoot, noteSecret, ...request }: CreateContainer,
  sandbox: FromSandbox,
  context: CreationContext,
  made: UndoStack,
): Promise<Container> {
  const { paths, access, runtime, commands, oom, ancestors, log, podSources, syscalls, media } = context;
  const dataHub =
    context.dataHub === undefined || noteSecret === undefined
      ? context.dataHub
      : notingHub(context.dataHub, noteSecret);
  const { opened, signal } = sandbox;
  const { spec: given, devices, scratch } = scratchOf(request, context);
  const { pulled, storages } = rootAndStorages({ id, spec: given, storages: all, sharedMounts }, context);
  // Nothing of the pause container's process comes from the host in a guest with its own images.
  const requested = pulled === undefined ? given : withPauseProcess(given, context.pauseBundle);
  if (pulled === undefined) refuseScratch(scratch, id);
  const places = new OwnPlaces({
    id,
    sources: opened,
    others: () => [...sandbox.others(), ...sandbox.removed(), ...context.storages.owners({ butOf: id })],
    podPlaces: () => context.storages.podPlaces(),
  });
  const guest = guestDevices(paths);
  const edits = cdiInjection(context.cdi.edits(requested), {
    hooks: context.hooks,
    paths,
    guest,
    user: requested.process?.user,
  });
  const networkPath = requestedNetwork(requested.linux?.namespaces, access);
  const network = networkPath === undefined ? undefined : openNetworkNamespace(networkPath, syscalls);
  if (network !== undefined) made.push('network namespace', () => network.descriptor.close());
  const bundle = bundleOf(id, paths);
  const order = context.records.nextOrder();
  const mountPoints = storages.map(({ mountPoint }) => mountPoint);
  made.push('record', () => context.records.removeContainer(id));
  const pciDevices = vfioAddresses(devices, context);
  context.records.saveContainer({ phase: 'creating', id, order, storages: mountPoints, pciDevices });
  const attached = await attachDevices(devices, id, { ...context, guest, roots: paths }, made);
  const root = mappedRoot(requested.linux);
  makeBundle(bundle, root, made, context);
  const held = reservedPathsOf({ id, spec: requested, storages: all }, context.storages.inPlace, paths.kata);
  const freeSources = await context.reservations.reserve(id, held, made);
  const ownRoot =
    pulled &&
    (await loadAndMountOwnRoot(
      pulled,
      { id, spec: requested, sharedMounts, scratch, signal, authorizeRoot },
      context,
      made,
    ));
  const owner = { kind: 'container', id, bundle, others: sandbox.others().map((each) => each.id) } as const;
  for (const storage of storages) await context.storages.add(storage, owner, made, places);
  // runtime-rs sends a storage once, with the first container that mounts it.
  const used = context.storages.useBelow(requested.mounts ?? [], mountPoints, made);
  const directory = join(bundle, 'mounts');
  const copies = new MemoryCopies({ directory: join(bundle, 'copies'), syscalls, made });
  // The name that rules saw: of the same annotations, read by the same function.
  const nameInPod = context.namesOf(given.annotations ?? {}).inPod;
  const mountPlaces = (requested.mounts ?? []).map((mount) => cleanMount(mount).destination);
  const permits = secretPermits(context.secrets, nameInPod, mountPlaces);
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
    throughStorages: (source) => context.storages.throughStorages(source),
    secrets: await loadSecretVolumes(dataHub, { permits, copies, paths, media, signal }),
  });

  const rootfs =
    ownRoot ??
    (context.verifiedLayers
      ? await placeVerifiedRoot(bundle, context, made)
      : await placeRootfs({ id, bundle, root: requested.root, storages }, sources, context, made));
  const bound = bindLocalVolumes(withEdits(requested, edits), storages);
  const capabilities = await context.capabilities();
  const rules = mountRules(requested.linux, access, capabilities.cgroupVersion);
  const allowed = admitMounts(bound.mounts ?? [], rules);
  const ofDevices = { ...access, privileged: 'refuse', paths: edits.paths } as const;
  const files =
    context.hostAliases &&
    (await CheckedFiles.find(
      {
        hostname: sandbox.hostname,
        aliases: context.hostAliases,
        addresses: () =>
          network === undefined
            ? interfaceAddresses()
            : visitNamespace(syscalls, 'net', network.descriptor.fd, interfaceAddresses),
        copies,
        media,
      },
      allowed,
      rootfs,
    ));
  const ofImage = context.imageVolumes.filter(({ container }) => container === nameInPod);
  const volumes = await ImageVolumes.find(
    ofImage.map(({ path }) => path),
    allowed,
    { rootfs, bundle, syscalls, media, made },
  );
  const staged = [
    ...(await sources.stageAll(allowed, { files, volumes })),
    ...(await sources.stageAll(admitMounts(edits.mounts, rules), { access: ofDevices })),
  ];
  // The network of a joined namespace is its maker's.
  if (network === undefined) await context.localAddresses.keep(files?.ownAddresses ?? []);
  const nested = new NestedMounts({ syscalls, media, privileged: access.privileged, staged: directory });
  made.push('mounts within mounts', () => nested.rollBack());
  const resolved = await media.run('resolveDestinations', { mounts: staged, root: rootfs });
  const destinations = resolved.map(({ destination }) => destination);
  const mounts = await nested.attach(resolved);
  const { spec, networkSysctls, namespaceSysctls, guestSysctls, cgroup, warnings } = buildSpec(
    translatedPci(withHooks({ ...bound, mounts }, sandbox, context.hooks), attached.pciAddresses),
    {
      containerId: id,
      rootfs,
      shared: { ...sandbox.shared, network: network?.path },
      capabilities,
      onlineCpus: onlineCpus(paths.sys),
      hooks: context.hooks,
      hostname: sandbox.hostname,
      resolvConf: await resolvConfFor(rootfs, sandbox.resolvConf, media),
      attached: attached.devices,
      bound: sources.devices,
      injected: [...attached.injected, ...edits.devices],
      access: context.access,
      guest,
    },
  );
  if (root !== undefined) checkBoundNodes(spec.linux?.devices ?? [], paths.dev);
  for (const warning of warnings) log('warn', warning, { container: id });
  await media.run('checkAccountFiles', { rootfs, mounts: spec.mounts ?? [] });
  const ofNetwork = network === undefined ? podNetwork : sysctlsOfNetwork(syscalls, network);
  const sysctls = new SysctlChanges(ofNetwork, paths.proc);
  made.push('sysctls', () => sysctls.rollBack());
  const leftOut = (names: readonly string[]): void => {
    for (const name of names)
      log('warn', `sysctl ${name} is left out: this kernel does not have it`, { container: id });
  };
  leftOut(sysctls.write(networkSysctls));
  const ofGuest = new SysctlChanges(wholeGuest, paths.proc);
  made.push('sysctls of the guest', () => ofGuest.rollBack());
  leftOut(ofGuest.write(guestSysctls));
  const unsealed = await withSecrets(spec, permits, { dataHub, paths }, signal);
  writeFileSync(join(bundle, 'config.json'), encodeSpec(unsealed), { mode: 0o600 });

  if (cgroup.isScope) checkSystemdBus(runtime.known);
  made.push('name of the cgroup', context.cgroups.take(cgroup));
  // The slices of a scope are systemd's.
  const expected = cgroup.isScope ? [] : ancestors.expect(cgroup.path);
  made.push('cgroups above the container', () => ancestors.sweep(expected));
  made.push('what the runtime made', () => remove(runtime, id));
  const first = await launchProcess(
    { containerId: id, execId: id },
    spec.process.terminal ?? false,
    (stdio) =>
      commands.run({ container: id, command: 'create', call: sandbox.signal }, (signal) =>
        create(runtime, { id, bundle, isScope: cgroup.isScope }, stdio, signal),
      ),
    context,
  );
  made.push('streams of the first process', () => first.streams.end());
  const pinned = PinnedNamespaces.open(first.pid, paths.proc);
  made.push('pinned namespaces', () => pinned.close());
  const cgroups = cgroupPathsOf(first.pid, cgroup.path, paths);
  made.push('processes', async () => {
    if (first.ended) return;
    await killAll(cgroups, context.syscalls);
    await first.exit;
  });
  narrowDevices(cgroups, spec.linux?.resources?.devices ?? [], syscalls);
  checkBoundingSet(first.pid, spec.process.capabilities ?? {}, paths.proc, id);
  const ownSysctls = new SysctlChanges(namespacesOf(syscalls, pinned), paths.proc);
  made.push('sysctls of its namespaces', () => ownSysctls.rollBack());
  leftOut(ownSysctls.write(namespaceSysctls));
  const refused = refusedDestinations(context.mountsWithoutLinks, nameInPod, {
    requested: staged.map(({ destination }) => destination),
    resolved: destinations,
  });
  if (refused.length > 0)
    await media.run('refuseLinks', { pid: first.pid, proc: paths.proc, destinations, refused });
  await shareMounts(sharedMounts ?? [], pinned.mounts, sandbox.find, context);
  oom.add(id, cgroups, () => first.noteKill());
  made.push('OOM watch', () => oom.remove(id));
  const own = (spec.linux?.namespaces ?? []).filter(({ path }) => path === undefined);
  const container = new Container({
    id,
    order,
    storages: [...mountPoints, ...used],
    sources: opened,
    roots: held.roots,
    first,
    cgroup: cgroups,
    namespaces: new Set(own.map(({ type }) => type)),
    made,
    annotations: requested.annotations ?? {},
    mounts: mountsOf(requested.mounts ?? [], paths.kata),
    cpus: requested.linux?.resources?.cpu?.cpus ?? '',
    terminationLog: terminationLogOf(requested),
    noNewPrivileges: spec.process.noNewPrivileges ?? false,
    capabilities: spec.process.capabilities ?? {},
    rlimits: spec.process.rlimits ?? [],
    pinned,
    disks: attached.devices.filter(({ type }) => type === 'b').map(({ major, minor }) => ({ major, minor })),
    pciDevices,
    pciAddresses: attached.pciAddresses,
  });
  ancestors.arrived(expected);
  persistContainer(container, context);
  context.storages.keep(storages, bundle);
  sysctls.keep();
  ofGuest.keep();
  ownSysctls.keep();
  nested.keep();
  network?.descriptor.close();
  freeSources();
  return container;
}

function translatedPci({ process, ...spec }: OciSpec, addresses: PciAddresses): OciSpec {
  if (process === undefined) return spec;
  return { ...spec, process: { ...process, env: withGuestAddresses(process.env ?? [], addresses) } };
}

/** Only the file for the runtime has the plain text of sealed secrets. */
async function withSecrets<Spec extends { readonly process: OciProcess }>(
  spec: Spec,
  permits: SecretPermits,
  { dataHub, paths }: Pick<CreationContext, 'dataHub' | 'paths'>,
  signal: AbortSignal | undefined,
): Promise<Spec> {
  if (dataHub === undefined) return spec;
  const { unsealEnvironment } = await import('../confidential/unseal-environment.js');
  const env = await unsealEnvironment(spec.process.env ?? [], dataHub, {
    permits,
    proc: paths.proc,
    signal,
  });
  return { ...spec, process: { ...spec.process, env } };
}

/** An earlier agent may have saved hooks of the guest image that the settings of this one refuse. */
function withHooks(spec: OciSpec, { hooks }: FromSandbox, setting: HookSetting): OciSpec {
  if (setting !== 'allow') return spec;
  return { ...spec, hooks: mergeHooks(spec.hooks, hooks) };
}

/** Returns the guest's path of the termination message: Kubernetes names a path in the container, where a bind mount is. */
function terminationLogOf({ annotations, mounts }: OciSpec): string | undefined {
  const path = annotations?.['io.kubernetes.container.terminationMessagePath'];
  return path === undefined
    ? undefined
    : mounts?.find((mount) => isBind(mount) && mount.destination === path)?.source;
}
