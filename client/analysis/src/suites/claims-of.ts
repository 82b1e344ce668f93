import { claimedImage, type RuleContainer } from '@kata-agent/gate';

/** Returns the claims of a CreateContainerRequest about its container (S27); empty for other messages. */
export function claimsOf(request: object): RuleContainer['claimed'] {
  const { OCI } = request as { readonly OCI?: { readonly Annotations?: Readonly<Record<string, string>> } };
  const annotations = OCI?.Annotations ?? {};
  return { image: claimedImage(annotations), annotations };
}
