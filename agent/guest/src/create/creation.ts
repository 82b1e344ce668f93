import type { CreateContainer } from '../request/actions.js';
import type { FindContainer } from '../container/share-mounts.js';
import type { OciHooks } from '../request/oci-spec.js';
import type { PlaceOwner, UsedSource } from '../source/place-owner.js';
import type { RemovedPlaces } from '../source/removed-places.js';
import type { SharedNamespaces } from '../spec/namespaces.js';
import type { UndoStack } from '../undo-stack.js';

/** What every phase of a creation gets. `Services`: the parts of the guest that the phase uses. */
export interface Creation<Services = unknown> {
  readonly request: CreateContainer;
  readonly sandbox: FromSandbox;
  readonly services: Services;
  /** Receives the undo of each effect, at once. */
  readonly made: UndoStack;
}

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
  readonly removed: RemovedPlaces;
  /** Receives each opened source. */
  readonly opened: UsedSource[];
  /** Aborted when the call is cancelled or its deadline has passed. */
  readonly signal: AbortSignal | undefined;
}
