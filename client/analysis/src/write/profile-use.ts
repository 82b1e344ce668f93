import type { Profile } from '@kata-agent/catalogue/profiles';

/** A value of a container in a document, and where it comes from. */
export interface Given {
  readonly value: unknown;
  readonly because?: string;
}

/** The values of one container, by key; lists have an origin for each entry. */
export type ContainerValues = Readonly<Record<string, Given | readonly Given[]>>;

/** A profile with the values of a pod, in place of the rules that it has. */
export interface ProfileUse {
  readonly profile: Profile;
  /** Names of the profile's rules that do not fit the pod: the document has its own in their place, or none. */
  readonly except: readonly string[];
  readonly values: Readonly<Record<string, Given | readonly Given[]>>;
  readonly containers: readonly ContainerValues[];
}
