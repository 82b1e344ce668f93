/** A character device of the guest that a configuration names for containers. */
export type AllowedDevice =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'number'; readonly major: number; readonly minor: number };

/** A directory or file of the guest that mounts of containers may name. */
export interface AllowedPath {
  /** Absolute and clean. */
  readonly path: string;
  readonly writable: boolean;
}

export interface AllowedModule {
  readonly name: string;
  /** Exactly these, in this order. */
  readonly parameters: readonly string[];
}

/**
 * What containers may have of the guest, beside what every container has (docs/configuration.md, "What containers may
 * have of the guest").
 */
export interface GuestAccess {
  /** `allow`: a privileged container is root of the guest by design, as under Kata's agent. */
  readonly privileged: 'refuse' | 'allow';
  readonly devices: readonly AllowedDevice[];
  readonly paths: readonly AllowedPath[];
  readonly modules: readonly AllowedModule[];
  /** Names with dots. */
  readonly sysctls: readonly string[];
}

/** An agent without a configuration: as Kata's. */
export const openAccess: GuestAccess = {
  privileged: 'allow',
  devices: [],
  paths: [],
  modules: [],
  sysctls: [],
};

/** Nothing of the guest. */
export const closedAccess: GuestAccess = { ...openAccess, privileged: 'refuse' };
