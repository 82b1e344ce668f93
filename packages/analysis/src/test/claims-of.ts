import { claimedImage, type ContainerFacts } from '@kata-agent/gate';

/** What a CreateContainerRequest claims of its container (S27); of another message nothing. */
export function claimsOf(request: object): ContainerFacts['claimed'] {
  const { OCI } = request as { readonly OCI?: { readonly Annotations?: Readonly<Record<string, string>> } };
  const annotations = OCI?.Annotations ?? {};
  return { image: claimedImage(annotations), annotations };
}
