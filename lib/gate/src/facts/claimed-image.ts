/** Annotations with the image of a container: containerd's CRI plug-in, and CRI-O. */
const imageAnnotations = ['io.kubernetes.cri.image-name', 'io.kubernetes.cri-o.ImageName'];

/** Returns the image that the host claims for the container (S27); empty when it claims none. */
export function claimedImage(annotations: Readonly<Record<string, string>>): string {
  for (const name of imageAnnotations) {
    if (Object.hasOwn(annotations, name)) return annotations[name] ?? '';
  }
  return '';
}
