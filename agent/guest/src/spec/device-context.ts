import type { GuestDevice } from '../device/attach-devices.js';
import type { GuestDevices, InjectedDevice } from '../device/guest-devices.js';
import type { GuestAccess } from '../access/guest-access.js';
import type { OciDevice } from '../request/oci-spec.js';

/** A character device of the guest that is the source of a bind mount. */
export interface BoundDevice {
  readonly major: number;
  readonly minor: number;
  readonly writable: boolean;
}

/** The guest's devices, and those that containers may have. */
export interface DeviceContext {
  /** The disks and VFIO groups that the request attached. */
  readonly attached: readonly GuestDevice[];
  /** Sources of the container's bind mounts. */
  readonly bound: readonly BoundDevice[];
  /** Devices that belong to what the request attaches or names; they replace nodes of the request. */
  readonly injected: readonly InjectedDevice[];
  readonly access: Pick<GuestAccess, 'privileged' | 'devices' | 'sysctls'>;
  readonly guest: GuestDevices;
}

/** A device of a request with the one that the container gets for it. */
export interface TranslatedDevice {
  readonly requested: OciDevice;
  readonly own: OciDevice;
}
