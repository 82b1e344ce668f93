import { isMessage, type Message } from '@bufbuild/protobuf';
import { requestedRoot } from '@kata-agent/catalogue/requested-root';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import type { RuleContext, RuleImage } from '../rule-context.js';
import { RuleError } from './language/frame.js';

/**
 * Returns what a request alone says of the root. With verified layers that is what will be mounted: the guest makes the
 * dm-verity devices with exactly these values, or the creation fails.
 *
 * @throws RuleError the guest would refuse this root
 */
export function requestedImage(request: Message, { verifiedLayers }: RuleContext): RuleImage {
  if (verifiedLayers !== true || !isMessage(request, CreateContainerRequestSchema)) return { from: 'host' };
  const { containerId: id, OCI, storages } = request;
  const root = requestedRoot({
    id,
    annotations: OCI?.Annotations ?? {},
    rootPath: OCI?.Root?.Path,
    storages,
  });
  if (root.kind === 'refused')
    throw new RuleError(`[image] layers = "verified", and the root is no verified layers: ${root.why}`);
  return root.kind === 'pause' ? { from: 'pause_bundle' } : { from: 'verified_layers', layers: root.layers };
}
