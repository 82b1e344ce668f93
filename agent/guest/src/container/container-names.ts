/** The names of a container on the host. */
export interface ContainerNames {
  /** Its name in the pod; empty: the pause container, or no name. */
  readonly inPod: string;
  /** Its name in the host's engine (such as Docker); empty: no name. */
  readonly ofEngine: string;
}

/** Reads the names from the annotations of a container. */
export type NamesOf = (annotations: Readonly<Record<string, string>>) => ContainerNames;
