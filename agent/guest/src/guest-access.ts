/** A character or CDI device of the guest that a configuration names for containers. */
export type AllowedDevice =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'number'; readonly major: number; readonly minor: number }
  /** A CDI device: all that the guest's specifications say for it. */
  | { readonly kind: 'cdi'; readonly name: string };

/** A directory or file of the guest that containers may mount. */
export interface AllowedPath {
  /** Absolute and clean. */
  readonly path: string;
  readonly writable: boolean;
}

export interface AllowedModule {
  readonly name: string;
  /** The required parameters, in this order. */
  readonly parameters: readonly string[];
}

/**
 * What containers may use of the guest, beyond what every container gets (docs/configuration.md, "What containers may
 * have of the guest").
 */
export interface GuestAccess {
  /** `allow`: a privileged container is root of the guest by design, as under Kata's agent. */
  readonly privileged: 'refuse' | 'allow';
  /**
   * `refuse`: the agent gives evidence, and no container may mount what else gives some, privileged or not (docs/trust.md,
   * "Evidence").
   */
  readonly evidencePaths: 'refuse' | 'allow';
  readonly devices: readonly AllowedDevice[];
  readonly paths: readonly AllowedPath[];
  /** Absolute, clean paths. */
  readonly networkNamespaces: readonly string[];
  readonly modules: readonly AllowedModule[];
  /** Names with dots. */
  readonly sysctls: readonly string[];
}

/** The access without a configuration, as under Kata's agent. */
export const openAccess: GuestAccess = {
  privileged: 'allow',
  evidencePaths: 'allow',
  devices: [],
  paths: [],
  networkNamespaces: [],
  modules: [],
  sysctls: [],
};

/** No access to the guest. */
export const closedAccess: GuestAccess = { ...openAccess, privileged: 'refuse' };
