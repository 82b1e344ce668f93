import type { Syscalls } from '@kata-agent/linux';
import { makeBundle } from '../container/bundle.js';
import { type NetworkNamespace, openNetworkNamespace } from '../container/network-namespace.js';
import {
  type PathReservations,
  type ReservedPaths,
  reservedPathsOf,
} from '../container/path-reservations.js';
import { attachDevices, type AttachedDevices, vfioAddresses } from '../device/attach-devices.js';
import type { DeviceWatch } from '../device/device-watch.js';
import type { Disks } from '../device/disks.js';
import type { VfioDevices } from '../device/vfio-devices.js';
import type { GuestLog } from '../guest-log.js';
import type { HostMedia } from '../media/host-media.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { SavedState } from '../state/saved-state.js';
import type { StorageTable } from '../storage/storage-table.js';
import type { Creation } from './creation.js';
import type { Decided } from './decide.js';

/** Opens the network namespace to join. Undefined: the container has the pod's. */
export function openNetwork({
  decided: { networkPath },
  services: { syscalls },
  made,
}: Creation<{ readonly syscalls: Syscalls }> & { readonly decided: Decided }): NetworkNamespace | undefined {
  if (networkPath === undefined) return undefined;
  const network = openNetworkNamespace(networkPath, syscalls);
  made.push('network namespace', () => network.descriptor.close());
  return network;
}

export interface RecordServices {
  readonly records: SavedState;
  readonly devices: DeviceWatch;
}

export interface Recorded {
  readonly order: number;
  /** The PCI devices that the driver vfio-pci will get. */
  readonly pciDevices: readonly string[];
}

/** Writes the state file with what an agent that finds it must undo. */
export function saveRecord({
  decided: { id, devices, mountPoints: storages },
  services,
  made,
}: Creation<RecordServices> & {
  readonly decided: Decided;
  readonly network: NetworkNamespace | undefined;
}): Recorded {
  const { records } = services;
  const order = records.nextOrder();
  made.push('record', () => records.removeContainer(id));
  const pciDevices = vfioAddresses(devices, services);
  records.saveContainer({ phase: 'creating', id, order, storages, pciDevices });
  return { order, pciDevices };
}

export interface DeviceServices {
  readonly paths: GuestPaths;
  readonly devices: DeviceWatch;
  readonly disks: Disks;
  readonly vfio: VfioDevices;
}

/** Takes the disks and PCI devices of the request from the guest: each is registered as the container's, then looked at. */
export function takeDevices({
  decided: { id, devices, guest },
  services,
  made,
}: Creation<DeviceServices> & {
  readonly decided: Decided;
  readonly recorded: Recorded;
}): Promise<AttachedDevices> {
  return attachDevices(devices, id, { ...services, guest, roots: services.paths }, made);
}

export interface BundleServices {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly paths: GuestPaths;
  readonly log: GuestLog;
  readonly storages: StorageTable;
  readonly reservations: PathReservations;
}

export interface ReservedBundle {
  readonly held: ReservedPaths;
  /** Lets CopyFile write to the sources again. */
  readonly freeSources: () => void;
}

/** Creates the bundle, and keeps CopyFile away from what the container will be made of. */
export async function prepareBundle({
  request: { storages },
  decided: { id, bundle, root, spec },
  services,
  made,
}: Creation<BundleServices> & {
  readonly decided: Decided;
  readonly attached: AttachedDevices;
}): Promise<ReservedBundle> {
  makeBundle(bundle, root, made, services);
  const held = reservedPathsOf({ id, spec, storages }, services.storages.inPlace, services.paths.kata);
  return { held, freeSources: await services.reservations.reserve(id, held, made) };
}
