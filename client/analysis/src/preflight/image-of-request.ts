import { isMessage, type Message } from '@bufbuild/protobuf';
import { guestPull } from '@kata-agent/catalogue/request-features';
import type { Configuration } from '@kata-agent/config';
import { programWithoutRoot, type RuleImage } from '@kata-agent/gate';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { digestIn, type ImageConfigs } from '@kata-agent/workloads';

/** What rules will see of the image of a request, as far as it is known without pulling. */
export interface KnownImage {
  /** Undefined: the root comes from the host, or nothing is known. */
  readonly image: RuleImage | undefined;
  /** The image of which something is not known. */
  readonly incomplete?: string;
}

/** Returns what rules will see of the image of a request. */
export function imageOfRequest(
  request: Message,
  images: ImageConfigs,
  { puller }: Pick<Configuration['image'], 'puller'>,
): KnownImage {
  if (!isMessage(request, CreateContainerRequestSchema)) return { image: undefined };
  const pull = request.storages.find(({ driver }) => driver === guestPull);
  if (pull === undefined) return { image: undefined };
  if (request.OCI?.Annotations['io.kubernetes.cri.container-type'] === 'sandbox')
    return { image: { from: 'pause_bundle' } };
  const reference = pull.source;
  // Whether the data hub returns a digest is not known.
  if (puller !== 'built-in') return { image: undefined, incomplete: reference };
  const config = images.get(reference);
  const digest = config?.digest ?? digestIn(reference);
  const image: RuleImage = { from: 'pulled', reference, digest };
  if (config === undefined) return { image, incomplete: reference };
  return {
    image: {
      ...image,
      config,
      manifestDigest: config.manifestDigest,
      program: programWithoutRoot(request, config),
    },
    ...(digest === undefined ? { incomplete: reference } : {}),
  };
}
