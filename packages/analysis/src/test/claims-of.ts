import type { ContainerFacts } from '@kata-agent/gate';

/** The annotations in which containerd and CRI-O name a container's image. */
const imageAnnotations = ['io.kubernetes.cri.image-name', 'io.kubernetes.cri-o.ImageName'];

/** What a CreateContainerRequest claims of its container (S27); of another message nothing. */
export function claimsOf(request: object): ContainerFacts['claimed'] {
  const { OCI } = request as { readonly OCI?: { readonly Annotations?: Readonly<Record<string, string>> } };
  const annotations = OCI?.Annotations ?? {};
  const image = imageAnnotations.map((name) => annotations[name]).find((name) => name !== undefined);
  return { image: image ?? '', annotations };
}
