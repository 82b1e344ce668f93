import { isMessage, type Message } from '@bufbuild/protobuf';
import { pinOf, requestedRoot, type VerifiedLayer } from '@kata-agent/catalogue/requested-root';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { ImageProcess } from '../../entrypoint/image-process.js';
import type { RuleContext, RuleImage } from '../../rule-context.js';
import { type FieldValues, RuleError } from '../language/compiled.js';
import { int, listOf, type RecordField, string, type Type } from '../language/type.js';
import type { RuleName } from './rule-name.js';

/**
 * What `runs_image_entrypoint()` compares. A rule cannot write this name: it is not an identifier.
 */
export const imageProcessName: RuleName = {
  name: 'runs_image_entrypoint()',
  methods: ['CreateContainer'],
  ofGuest: ['CreateContainer'],
  doc: 'The process of the call, and what its image declares.',
  example: 'runs_image_entrypoint()',
  typeFor: () => ({ kind: 'record', name: 'image process', fields: new Map() }),
  read: (request, context) => new ImageProcess(request, context),
};

const layer: Type = {
  kind: 'record',
  name: 'image.layers',
  fields: new Map<string, RecordField>([
    [
      'root_hash',
      { type: string, doc: 'SHA-256 in lower-case hex. It names no content without the other two.' },
    ],
    ['salt', { type: string, doc: 'In lower-case hex; empty: none.' }],
    ['data_blocks', { type: int, doc: 'The number of blocks of 4096 bytes before the hash tree.' }],
  ]),
};

/** `image.layers`. */
export const imageLayers: RecordField = {
  type: listOf(layer),
  optional: true,
  doc: 'Of verified layers, the base first: the values of dm-verity. Compare all three of each, as verified_layers does.',
};

export function layerValues(layers: readonly VerifiedLayer[]): readonly FieldValues[] {
  return layers.map(({ rootHash, salt, dataBlocks }) => ({
    root_hash: rootHash,
    salt,
    data_blocks: BigInt(dataBlocks),
  }));
}

/** The shorthand for a root of verified layers. */
export const verifiedLayers: RuleName = {
  name: 'verified_layers',
  methods: ['CreateContainer'],
  ofGuest: ['CreateContainer'],
  doc:
    'With `[image] layers = "verified"`: the layers of the root, the base first, each as `ROOT_HASH/SALT/DATA_BLOCKS`. Comparing it with a list means: ' +
    'the root is exactly these layers, in this order, each under dm-verity, with nothing else below, and above them nothing but memory of the guest. ' +
    'Empty for the pause container, whose root is in the guest image, and with other values of `layers`. `kata-agent-ctl config generate --layers` writes it.',
  example: 'image.from == "pause_bundle" || verified_layers == ["0b6f…/00ff…/4096", "5d41…/00ff…/16"]',
  typeFor: () => listOf(string),
  read: (request, context) => (context.image ?? requestedImage(request, context)).layers?.map(pinOf) ?? [],
};

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
