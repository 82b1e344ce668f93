/** A mount of a container, as the configuration names it: `CONTAINER=MOUNT POINT`. */
export interface NamedMount {
  /** The name of the container in the pod. */
  readonly container: string;
  /** The mount point. */
  readonly path: string;
}
