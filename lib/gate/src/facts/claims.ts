/** Annotations with the image of a container: containerd's CRI plug-in, and CRI-O. */
const imageAnnotations = ['io.kubernetes.cri.image-name', 'io.kubernetes.cri-o.ImageName'];

type Annotations = Readonly<Record<string, string>>;

/** The names that the host claims for a container (S27; docs/adr/rules.md, "Names of containers"). */
export interface ClaimedNames {
  /** In its pod, as the kubelet has it; empty: the pause container, or no claim. */
  readonly inPod: string;
  /** CRI-O's own, `k8s_NAME_POD_NAMESPACE_UID_ATTEMPT`; empty: the engine gives none. */
  readonly ofEngine: string;
}

/** The annotations with the name in the pod: of containerd's CRI plug-in, and of CRI-O. */
const podNameAnnotations = ['io.kubernetes.cri.container-name', 'io.kubernetes.container.name'];

/** CRI-O's own name, which Kata uses as the name of the container (kata-types, annotations/crio.rs). */
const engineNameAnnotation = 'io.kubernetes.cri-o.ContainerName';

/** CRI-O's name of the pause container; containerd sets none. */
const pause = 'POD';

/** Returns both names, from the annotations of each engine. */
export function claimedNames(annotations: Annotations): ClaimedNames {
  const key = podNameAnnotations.find((name) => Object.hasOwn(annotations, name));
  const inPod = (key === undefined ? undefined : annotations[key]) ?? '';
  const own = Object.hasOwn(annotations, engineNameAnnotation)
    ? annotations[engineNameAnnotation]
    : undefined;
  return { inPod: inPod === pause ? '' : inPod, ofEngine: own ?? '' };
}

/** The name in its pod that the host claims for the container; empty for the pause container, or without a claim. */
export function claimedName(annotations: Annotations): string {
  return claimedNames(annotations).inPod;
}

/** Returns the image that the host claims for the container (S27); empty when it claims none. */
export function claimedImage(annotations: Readonly<Record<string, string>>): string {
  for (const name of imageAnnotations) {
    if (Object.hasOwn(annotations, name)) return annotations[name] ?? '';
  }
  return '';
}
