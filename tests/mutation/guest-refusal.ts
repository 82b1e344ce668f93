import { isMessage, type Message } from '@bufbuild/protobuf';
import { ociProcess, ociSpec, storage } from '@kata-agent/agent/requests';
import type { GuestAccess, Storage } from '@kata-agent/guest';
import {
  admitRequest,
  bindLocalVolumes,
  buildSpec,
  cleanStorages,
  checkExecId,
  checkHostname,
  groupOption,
  isBind,
  layersDriver,
  mountPlace,
  OwnPlaces,
  pulledRootOf,
  refuseOtherRequest,
  refuseUsedDisk,
  RemovedPlaces,
  rootLayersOf,
  runnableProcess,
  sourcePlace,
  storageDriver,
  bindOptions,
  unknownMountOption,
} from '@kata-agent/guest/checks';
import {
  AgentService,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  UpdateEphemeralMountsRequestSchema,
} from '@kata-agent/protocol/agent';

/** The guest's state for its checks. */
export interface GuestState {
  /** IDs of the existing containers, the pod's first container first. */
  readonly containers: readonly string[];
  readonly access: GuestAccess;
  /** `[image] layers = "verified"`. */
  readonly verifiedLayers?: boolean;
}

const capabilities = {
  seccomp: true,
  hasAppArmorProfile: () => false,
  selinux: false,
  cgroupVersion: 2,
  systemd: false,
  hugePages: [],
  flaws: [],
} as const;
const paths = { kata: '/run/kata-containers', state: '/run/kata-agent', dev: '/dev', sys: '/sys' };

/** Returns why the guest's pure checks reject a request that the gate allows; undefined: they do not. */
export function guestRefusal(request: Message, state: GuestState): string | undefined {
  try {
    check(request, state);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Returns why the guest rejects the storages of a request because of those that are mounted; undefined: it does not. */
export function storageRefusal(
  request: CreateContainerRequest,
  earlier: readonly CreateContainerRequest[],
): string | undefined {
  const mounted = earlier.flatMap(({ storages }) => cleanStorages(storages.map(storage)));
  try {
    const added: Storage[] = [];
    for (const each of cleanStorages(request.storages.map(storage))) {
      const all = [...mounted, ...added];
      for (const other of all) if (other.mountPoint === each.mountPoint) refuseOtherRequest(each, other);
      refuseUsedDisk(
        each,
        all.filter(({ mountPoint }) => mountPoint !== each.mountPoint),
      );
      added.push(each);
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function check(request: Message, state: GuestState): void {
  const { containers } = state;
  if (isMessage(request, CreateContainerRequestSchema)) {
    checkCreate(request, state);
  } else if (isMessage(request, CreateSandboxRequestSchema)) {
    checkHostname(request.hostname);
    if (request.guestHookPath !== '') throw new Error('guest hooks are denied');
    for (const each of request.storages) checkStorage(storage(each), undefined, state);
  } else if (isMessage(request, ExecProcessRequestSchema)) {
    checkExecId(request.execId);
    if (request.process === undefined) throw new Error('there is no process');
    runnableProcess(ociProcess(request.process), capabilities);
  } else if (isMessage(request, UpdateEphemeralMountsRequestSchema)) {
    for (const each of request.storages) checkStorage(storage(each), undefined, state);
  }
  const id = containerIdOf(request);
  if (id !== undefined && !isMessage(request, CreateContainerRequestSchema) && !containers.includes(id))
    throw new Error('there is no such container');
}

/** Undefined: the method names no container. */
export function containerIdOf(request: Message): string | undefined {
  const method = AgentService.methods.find(({ input }) => input.typeName === request.$typeName);
  const isNamed = method?.input.fields.some(({ name }) => name === 'container_id') === true;
  return isNamed && 'containerId' in request ? String(request.containerId) : undefined;
}

function checkCreate(request: CreateContainerRequest, state: GuestState): void {
  const { containers, access, verifiedLayers = false } = state;
  const { containerId: id, OCI } = request;
  if (OCI === undefined) throw new Error('the request has no spec');
  const storages = cleanStorages(request.storages.map(storage));
  const requested = ociSpec(OCI);
  admitRequest({
    action: { id, spec: requested, storages },
    paths: { kata: '/run/kata-containers' },
    hooks: 'refuse',
    verifiedLayers,
    access,
    containers: {
      count: containers.length,
      limit: Number.POSITIVE_INFINITY,
      has: (name) => containers.includes(name),
      had: () => false,
      isWaiting: () => false,
    },
    installedRuntime: () => undefined,
  });
  pulledRootOf({ id, storages, spec: requested }, paths);
  const spec = bindLocalVolumes(requested, storages);
  for (const each of storages) checkStorage(each, id, state);
  buildSpec(spec, {
    containerId: id,
    rootfs: '/',
    shared: {},
    capabilities,
    onlineCpus: Array.from({ length: 128 }, (_, cpu) => cpu),
    hooks: 'refuse',
    hostname: '',
    resolvConf: undefined,
    attached: [],
    injected: [],
    bound: [],
    access,
    guest: { find: () => undefined } as never,
  });
  const named = 'source';
  const mounts = (spec.mounts ?? []).filter(isBind).map(({ source = '' }) => source);
  const sources = [spec.root?.path ?? '', ...mounts].map((path, index) => {
    const isRoot = index === 0;
    const place = sourcePlace({ path, named, container: id, isRoot }, { paths, access });
    return { path: place.path, use: isRoot ? 'own' : 'volume', isDirectory: true } as const;
  });
  const others = containers.map((each) => ({ named: `container ${each}`, id: each, sources: [] }));
  const shared = `${paths.kata}/shared/containers`;
  const local = [shared, `${shared}/passthrough`].map(
    (each) => `${each}/${containers[0] ?? ''}/rootfs/local`,
  );
  const removed = new RemovedPlaces(paths.kata);
  new OwnPlaces({ id, sources: [], others: () => others, removed, podPlaces: () => local }).add(sources);
}

function checkStorage(
  each: Storage,
  container: string | undefined,
  { containers, access }: GuestState,
): void {
  if (each.driver === layersDriver) rootLayersOf(each);
  // checkCreate has checked it, and the rest of it is of the image.
  if (each.driver === 'image_guest_pull') return;
  storageDriver(each.driver);
  const owner = { container, pod: containers[0] ?? container, others: containers };
  mountPlace(each.driver, each.mountPoint, owner, paths.kata);
  const isBind = each.driver === 'bind' || each.driver === 'watchable-bind';
  const options = each.options
    .filter((option) => !option.startsWith('fsgid='))
    .filter((option) => !isBind || !bindOptions.has(option));
  groupOption(each.options);
  const unknown = unknownMountOption(options);
  if (unknown !== undefined) throw new Error(`unknown option ${unknown}`);
  if (isBind) sourcePlace({ path: each.source, named: 'source', container }, { paths, access });
}
