import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CreateContainer } from '../actions.js';
import { cgroupPathsOf } from '../cgroup/cgroup-paths.js';
import { killAll } from '../cgroup/kill-all.js';
import { narrowDevices } from '../cgroup/narrow-devices.js';
import { attachDevices } from '../device/attach-devices.js';
import { guestDevices } from '../device/guest-devices.js';
import { mergeHooks } from '../hooks/guest-hooks.js';
import type { OciHooks, OciSpec } from '../oci-spec.js';
import { create, remove } from '../runtime/commands.js';
import { buildSpec, mountRules } from '../spec/build-spec.js';
import { encodeSpec } from '../spec/encode-spec.js';
import { bindLocalVolumes } from '../spec/local-volumes.js';
import { containerMounts, isBind } from '../spec/mounts.js';
import type { SharedNamespaces } from '../spec/namespaces.js';
import { SysctlChanges } from '../spec/sysctl-changes.js';
import { ContainerSources } from '../source/container-sources.js';
import { resolveDestinations } from '../source/destinations.js';
import { NestedMounts } from '../source/nested-mounts.js';
import { OwnPlaces, type PlaceOwner, type UsedSource } from '../source/other-containers.js';
import { checkAccountFiles } from './account-files.js';
import { bundleOf, makeBundle } from './bundle.js';
import { checkBoundingSet } from './bounding-set.js';
import { Container } from './container.js';
import { placesOf } from './container-places.js';
import type { GuestContext } from './guest-context.js';
import { keepRecord } from './keep-record.js';
import { launchProcess } from './launch-process.js';
import { placeRootfs, resolvConfFor } from './rootfs.js';
import { NamespaceSysctls } from './namespace-sysctls.js';
import { PinnedNamespaces } from './pinned-namespaces.js';
import { type FindContainer, shareMounts } from './share-mounts.js';
import { UndoStack } from './undo-stack.js';

/** What a container gets from its sandbox. */
export interface FromSandbox {
  readonly hostname: string;
  readonly resolvConf: string | undefined;
  readonly shared: SharedNamespaces;
  /** Of the guest's image, for all its containers. */
  readonly hooks: OciHooks | undefined;
  /** Its other containers. */
  readonly find: FindContainer;
  /** Its other containers, those that are being made included, with what they have opened by now. */
  readonly others: () => readonly (PlaceOwner & { readonly id: string })[];
  /** Containers that were removed, with what they alone wrote to. */
  readonly removed: () => readonly PlaceOwner[];
  /** Gets each source that is opened. */
  readonly opened: UsedSource[];
  /** Of the call: aborted when nobody waits for its answer. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Makes a container up to the point where its first process waits for `start`. Each step that leaves something behind
 * says how to take it back, so that a failure anywhere leaves nothing (S13), and so that removal is the same.
 */
export async function createContainer(
  action: CreateContainer,
  sandbox: FromSandbox,
  context: GuestContext,
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

async function build(
  { id, spec: requested, storages, devices, sharedMounts }: CreateContainer,
  sandbox: FromSandbox,
  context: GuestContext,
  made: UndoStack,
): Promise<Container> {
  const { paths, access, runtime, commands, oom, ancestors, log, podSources, syscalls } = context;
  const { opened } = sandbox;
  const places = new OwnPlaces({
    id,
    sources: opened,
    others: () => [...sandbox.others(), ...sandbox.removed(), ...context.storages.owners({ butOf: id })],
    podPlaces: () => context.storages.podPlaces(),
  });
  const attached = attachDevices(devices ?? [], id, context, made);
  const bundle = bundleOf(id, paths);
  const order = context.records.nextOrder();
  const mountPoints = storages.map(({ mountPoint }) => mountPoint);
  made.push('record', () => context.records.removeContainer(id));
  context.records.saveContainer({ phase: 'making', id, order, storages: mountPoints });
  makeBundle(bundle, made, context);
  const held = placesOf({ id, spec: requested, storages }, context.storages.inPlace, paths.kata);
  const freeSources = await context.places.hold(id, held, made);
  const owner = { kind: 'container', id, bundle, others: sandbox.others().map((each) => each.id) } as const;
  for (const storage of storages) await context.storages.add(storage, owner, made, places);
  const directory = join(bundle, 'mounts');
  const sources = new ContainerSources({
    container: id,
    directory,
    paths,
    access,
    syscalls,
    podSources,
    made,
    places,
    throughStorages: (source) => context.storages.throughStorages(source),
  });

  const rootfs = await placeRootfs({ id, bundle, root: requested.root, storages }, sources, context, made);
  const bound = bindLocalVolumes(requested, storages);
  const staged = await sources.stageAll(containerMounts(bound.mounts, mountRules(requested.linux, access)));
  const nested = new NestedMounts({ syscalls, privileged: access.privileged, staged: directory });
  made.push('mounts within mounts', () => nested.takeBack());
  const mounts = nested.attach(resolveDestinations(staged, rootfs, syscalls));
  const { spec, networkSysctls, namespaceSysctls, cgroup } = buildSpec(
    withHooks({ ...bound, mounts }, sandbox),
    {
      containerId: id,
      rootfs,
      shared: sandbox.shared,
      capabilities: await context.capabilities(),
      hooks: context.hooks,
      hostname: sandbox.hostname,
      resolvConf: resolvConfFor(rootfs, sandbox.resolvConf, syscalls),
      attached,
      access: context.access,
      guest: guestDevices(paths),
    },
  );
  checkAccountFiles(rootfs, spec.mounts ?? [], syscalls);
  const sysctls = new SysctlChanges(paths.proc);
  made.push('sysctls', () => sysctls.takeBack());
  const leftOut = (names: readonly string[]): void => {
    for (const name of names)
      log('warn', `sysctl ${name} is left out: this kernel does not have it`, { container: id });
  };
  leftOut(sysctls.write(networkSysctls));
  writeFileSync(join(bundle, 'config.json'), encodeSpec(spec), { mode: 0o600 });

  made.push('name of the cgroup', context.cgroups.take(cgroup));
  const expected = ancestors.expect(cgroup);
  made.push('cgroups above the container', () => ancestors.sweep(expected));
  made.push('what the runtime made', () => remove(runtime, id));
  const first = await launchProcess(
    { containerId: id, execId: id },
    spec.process.terminal ?? false,
    (stdio) =>
      commands.run({ container: id, command: 'create', call: sandbox.signal }, (signal) =>
        create(runtime, id, bundle, stdio, signal),
      ),
    context,
  );
  made.push('streams of the first process', () => first.streams.end());
  const pinned = PinnedNamespaces.open(first.pid, paths.proc);
  made.push('pinned namespaces', () => pinned.close());
  const cgroups = cgroupPathsOf(first.pid, cgroup, paths);
  made.push('processes', async () => {
    if (first.ended) return;
    await killAll(cgroups, context.syscalls);
    await first.exit;
  });
  narrowDevices(cgroups, spec.linux?.resources?.devices ?? []);
  checkBoundingSet(first.pid, spec.process.capabilities ?? {}, paths.proc, id);
  const ownSysctls = new NamespaceSysctls(pinned, paths.proc);
  made.push('sysctls of its namespaces', () => ownSysctls.takeBack());
  leftOut(ownSysctls.write(namespaceSysctls));
  shareMounts(sharedMounts ?? [], first.pid, sandbox.find, context);
  oom.add(id, cgroups);
  made.push('watch for want of memory', () => oom.remove(id));
  const own = (spec.linux?.namespaces ?? []).filter(({ path }) => path === undefined);
  const container = new Container({
    id,
    order,
    storages: mountPoints,
    sources: opened,
    roots: held.roots,
    first,
    cgroup: cgroups,
    namespaces: new Set(own.map(({ type }) => type)),
    made,
    annotations: requested.annotations ?? {},
    cpus: requested.linux?.resources?.cpu?.cpus ?? '',
    terminationLog: terminationLogOf(requested),
    noNewPrivileges: spec.process.noNewPrivileges ?? false,
    pinned,
    disks: attached.map(({ major, minor }) => ({ major, minor })),
  });
  ancestors.arrived(expected);
  keepRecord(container, context);
  context.storages.keep(storages, bundle);
  sysctls.keep();
  ownSysctls.keep();
  nested.keep();
  freeSources();
  return container;
}

function withHooks(spec: OciSpec, { hooks }: FromSandbox): OciSpec {
  return { ...spec, hooks: mergeHooks(spec.hooks, hooks) };
}

/** Kubernetes says where in the container the file is; a mount says where it comes from. */
function terminationLogOf({ annotations, mounts }: OciSpec): string | undefined {
  const path = annotations?.['io.kubernetes.container.terminationMessagePath'];
  return path === undefined
    ? undefined
    : mounts?.find((mount) => isBind(mount) && mount.destination === path)?.source;
}
