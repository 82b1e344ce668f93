/** Annotations by which a container runtime says which container of its pod this is. Containerd's CRI plug-in, and CRI-O. */
const nameAnnotations = ['io.kubernetes.cri.container-name', 'io.kubernetes.container.name'];

/** As CRI-O calls the pause container; containerd gives that none. */
const pause = 'POD';

/** The name in its pod that the host claims for the container (S27); empty for the pause container, or without a claim. */
export function claimedName(annotations: Readonly<Record<string, string>>): string {
  for (const name of nameAnnotations) {
    if (!Object.hasOwn(annotations, name)) continue;
    const claim = annotations[name] ?? '';
    return claim === pause ? '' : claim;
  }
  return '';
}
