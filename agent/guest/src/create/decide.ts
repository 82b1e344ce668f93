import { isOfSandbox } from '@kata-agent/catalogue/requested-root';
import type { GuestAccess } from '../guest-access.js';
import type { CdiDevices } from '../cdi/cdi-devices.js';
import { type CdiInjection, cdiInjection } from '../cdi/injection.js';
import { type DataHub, notingHub } from '../confidential/data-hub.js';
import { bundleOf } from '../container/bundle.js';
import type { NamesOf } from '../container/share-mounts.js';
import { type GuestDevices, guestDevices } from '../device/guest-devices.js';
import type { HookSetting } from '../guest-hooks.js';
import { checkPauseMounts, withPauseProcess } from '../image/pause-bundle.js';
import type { ImagePuller, ImageStore } from '../image/image-puller.js';
import { pulledRootOf } from '../image/guest-pull.js';
import { refuseScratch, type WithoutScratch, withoutScratch } from '../image/store/scratch-disk.js';
import { pauseRootOf, usedStorages } from '../image/verified-root.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { AttachedDevice, CreateContainer, Storage } from '../request/actions.js';
import type { OciSpec } from '../request/oci-spec.js';
import { OwnPlaces } from '../source/other-containers.js';
import { type MappedRoot, mappedRoot, requestedNetwork } from '../spec/namespaces.js';
import type { StorageTable } from '../storage/storage-table.js';
import type { Creation } from './creation.js';

/** The parts of the guest that the decision reads. It changes none. */
export interface DecisionServices {
  readonly paths: GuestPaths;
  readonly access: GuestAccess;
  readonly hooks: HookSetting;
  readonly namesOf: NamesOf;
  readonly cdi: CdiDevices;
  readonly storages: StorageTable;
  readonly dataHub: DataHub | undefined;
  readonly images: ImagePuller | undefined;
  readonly imageStore: ImageStore | undefined;
  readonly pauseBundle: string;
  readonly verifiedLayers: boolean;
}

/** What the container will consist of. */
export interface Decided {
  readonly id: string;
  readonly bundle: string;
  /** The request's spec; of the pause container in a guest with its own images, with the process of the guest's bundle. */
  readonly spec: OciSpec;
  /** The name that rules saw: of the same annotations, read by the same function. */
  readonly nameInPod: string;
  readonly devices: readonly AttachedDevice[];
  /** A disk of the request for the images that the guest pulls. */
  readonly scratch: AttachedDevice | undefined;
  /** The root that the guest gets itself. */
  readonly pulled: Storage | undefined;
  /** Without the one of `pulled`. */
  readonly storages: readonly Storage[];
  readonly mountPoints: readonly string[];
  readonly edits: CdiInjection;
  /** Of a network namespace to join. */
  readonly networkPath: string | undefined;
  readonly root: MappedRoot | undefined;
  /** The guest's own devices, which no container gets. */
  readonly guest: GuestDevices;
  /** Receives each opened source, and refuses those of other containers. */
  readonly places: OwnPlaces;
  /** Notes in the audit log what it unseals. */
  readonly dataHub: DataHub | undefined;
}

/** Decides what the container will consist of. Has no effect. */
export function decide({ request, sandbox, services }: Creation<DecisionServices>): Decided {
  const { id, storages: all, sharedMounts, noteSecret } = request;
  const { paths, access } = services;
  const dataHub =
    services.dataHub === undefined || noteSecret === undefined
      ? services.dataHub
      : notingHub(services.dataHub, noteSecret);
  const { spec: given, devices, scratch } = scratchOf(request, services);
  const { pulled, storages } = rootAndStorages({ id, spec: given, storages: all, sharedMounts }, services);
  // Nothing of the pause container's process comes from the host in a guest with its own images.
  const spec = pulled === undefined ? given : withPauseProcess(given, services.pauseBundle);
  if (pulled === undefined) refuseScratch(scratch, id);
  const places = new OwnPlaces({
    id,
    sources: sandbox.opened,
    others: () => [...sandbox.others(), ...services.storages.owners({ butOf: id })],
    removed: sandbox.removed,
    podPlaces: () => services.storages.podPlaces(),
  });
  const guest = guestDevices(paths);
  const edits = cdiInjection(services.cdi.edits(spec), {
    hooks: services.hooks,
    paths,
    guest,
    user: spec.process?.user,
  });
  return {
    id,
    bundle: bundleOf(id, paths),
    spec,
    nameInPod: services.namesOf(given.annotations ?? {}).inPod,
    devices,
    scratch,
    pulled,
    storages,
    mountPoints: storages.map(({ mountPoint }) => mountPoint),
    edits,
    networkPath: requestedNetwork(spec.linux?.namespaces, access),
    root: mappedRoot(spec.linux),
    guest,
    places,
    dataHub,
  };
}

/** Returns the root that the guest gets itself, if it does, and the other storages. */
function rootAndStorages(
  action: Pick<CreateContainer, 'id' | 'spec' | 'storages' | 'sharedMounts'>,
  services: DecisionServices,
): { readonly pulled: Storage | undefined; readonly storages: readonly Storage[] } {
  const { spec, sharedMounts } = action;
  const pulled = pulledRootOf(action, services.paths);
  const own = pulled ?? (services.verifiedLayers ? pauseRootOf(action, services.paths) : undefined);
  if (own !== undefined && isOfSandbox(spec.annotations ?? {}))
    checkPauseMounts(spec.mounts ?? [], sharedMounts);
  const storages = usedStorages(action, services).filter((storage) => storage !== pulled);
  return { pulled: own, storages };
}

/** Separates the disk for images. In a guest that keeps images in memory it is an ordinary device. */
function scratchOf(
  request: Pick<CreateContainer, 'spec' | 'devices'>,
  { images, imageStore }: DecisionServices,
): WithoutScratch {
  if (images?.pack !== undefined || imageStore !== undefined) return withoutScratch(request);
  return { spec: request.spec, devices: request.devices ?? [], scratch: undefined };
}
