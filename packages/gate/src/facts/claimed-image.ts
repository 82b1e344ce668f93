/** Annotations by which a container runtime says of which image a container is. Containerd's CRI plug-in, and CRI-O. */
const imageAnnotations = ['io.kubernetes.cri.image-name', 'io.kubernetes.cri-o.ImageName'];

/** The image that the host claims the container to be of (S27); empty when it claims none. */
export function claimedImage(annotations: Readonly<Record<string, string>>): string {
  for (const name of imageAnnotations) {
    if (Object.hasOwn(annotations, name)) return annotations[name] ?? '';
  }
  return '';
}
