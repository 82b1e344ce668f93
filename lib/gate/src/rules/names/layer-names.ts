import { pinOf, type VerifiedLayer } from '@kata-agent/catalogue/requested-root';
import { requestedImage } from '../requested-image.js';
import { int, listOf, type RecordField, string, type Type } from '../language/type.js';
import type { FieldValues } from '../language/value.js';
import type { RuleName } from './rule-name.js';

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
