import type { OciDevice } from '../request/oci-spec.js';

/** A character device that the agent adds, by the guest's number. */
export interface InjectedDevice {
  readonly node: OciDevice;
  /** Some of `rwm`. */
  readonly access: string;
}
