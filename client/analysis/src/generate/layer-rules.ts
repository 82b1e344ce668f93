import { sharedDirectory } from '@kata-agent/catalogue';
import { pinOf } from '@kata-agent/catalogue/requested-root';
import {
  type ExpectedCall,
  type ImageConfig,
  type ImageConfigs,
  type RuntimeSetup,
  celLiteral,
  layerOption,
  mayWriteToDisk,
  partitionOption,
} from '@kata-agent/workloads';
import type { ExtraRule } from '../write/plan.js';
import { asCreate, eachContainer } from './each-container.js';

/** As runtime-rs (`MAX_ROOTFS_LAYER_DEVICES`). */
const maxLayers = 128;

const isLower = '"X-kata.overlay-lower" in s.options';
const isUpper = '"X-kata.overlay-upper" in s.options';
const partition = partitionOption('');
const rootHash = 'X-kata.dmverity.roothash=';
const verified = 'X-kata.dmverity-enabled=true';

/**
 * Options that runtime-rs gives a read-only layer, and beginnings of those with a value: patterns would exceed the steps
 * of a rule for 128 layers. The agent checks the values, and ignores options of containerd.
 */
const lowerOptions = [
  'ro',
  'X-kata.overlay-lower',
  layerOption,
  'X-kata.gpt-partitioned=true',
  verified,
  'X-kata.mkdir.path={{ mount 0 }}/upper',
  'X-kata.mkdir.path={{ mount 0 }}/work',
];
const lowerBeginnings = [
  partition,
  rootHash,
  'X-kata.dmverity.hashoffset=',
  'X-kata.dmverity.salt=',
  'X-kata.dmverity.no-superblock=',
  'X-kata.mkdir.path={{ mount 0 }}/upper:',
  'X-kata.mkdir.path={{ mount 0 }}/work:',
  'X-containerd.',
];
const upperOptions = ['rw', 'X-kata.overlay-upper', layerOption];

/** Rules for roots that consist of EROFS layers: the storages with one mount point that runtime-rs sends for them. */
export function layerRules(
  calls: readonly ExpectedCall[],
  setup: RuntimeSetup,
  images: ImageConfigs,
): readonly ExtraRule[] {
  if (setup.snapshotter !== 'erofs') return [];
  const there = eachContainer(calls, 'CreateContainer', (call) => {
    const name = asCreate(call)?.OCI?.Annotations['io.kubernetes.cri.image-name'] ?? '';
    if (setup.verifiedLayers !== undefined && (call.container ?? '') === '') return pauseTest;
    const verified = setup.verifiedLayers?.get(name);
    return verified === undefined
      ? layersTest(images.get(name) ?? {}, setup)
      : `verified_layers == ${celLiteral(verified.map(pinOf))}`;
  });
  return [
    {
      method: 'CreateContainer',
      name: 'root-layers',
      description:
        "Each layer of a root is an EROFS disk or partition for this container's root; a disk with ext4 takes the writes.\n" +
        'Every pod.',
      expression:
        `request.storages.all(s, !(${celLiteral(layerOption)} in s.options) ||\n` +
        '  s.driver in ["blk", "scsi"] && !s.shared && s.driver_options.size() == 0 && !has(s.fs_group) &&\n' +
        `  s.mount_point == "${sharedDirectory}/passthrough/" + request.container_id + "/rootfs" &&\n` +
        `  (${isLower} ?\n` +
        `    s.fstype == "erofs" && s.options.all(o, o in ${celLiteral(lowerOptions)} ||\n` +
        `      ${celLiteral(lowerBeginnings)}\n        .exists(b, o.startsWith(b))) :\n` +
        `    ${isUpper} && s.fstype == "ext4" &&\n` +
        `    s.options.all(o, o in ${celLiteral(upperOptions)} || o.startsWith("X-containerd.")) &&\n` +
        '    request.storages.exists_one(o, o.source == s.source)))',
      message: 'this is not a layer of the root of this container',
    },
    {
      method: 'CreateContainer',
      name: 'layers-complete',
      description:
        setup.verifiedLayers === undefined
          ? 'The layers of a root are one disk, or all partitions of one, topmost first. With root hashes each has its own,\n' +
            'and writes go to memory. containers[].image'
          : "The root of a container is exactly these layers under dm-verity, the base first; the pause container's is in the\n" +
            'guest image. containers[].image, --layers',
      expression: there ?? 'false',
      message: 'the root has other layers',
    },
  ];
}

/** The layer that the host has for it is not used. */
const pauseTest = `image.from == "pause_bundle" && request.storages.exists(s, ${isLower})`;

/** Tests the set of layers of one container. */
function layersTest(image: Partial<ImageConfig>, setup: RuntimeSetup): string {
  const uppers = `request.storages.filter(s, ${isUpper}).size()`;
  return (
    `${uppers} ${mayWriteToDisk(setup, image) ? '<= 1' : '== 0'} &&\n` +
    `[request.storages.filter(s, ${isLower})].all(l, l.size() > 0 &&\n` +
    `  l.all(s, s.driver == l[0].driver && s.source == l[0].source) &&\n  (${lowersTest(image)}))`
  );
}

/** `l` in the expressions: the read-only layers. */
function lowersTest({ layers, rootHashes = [] }: Partial<ImageConfig>): string {
  const isPartition = `${celLiteral(partition)} + string(i + 1) in l[i].options`;
  const once = (beginning: string): string =>
    `l[i].options.filter(o, o.startsWith(${celLiteral(beginning)})).size() == 1`;
  if (rootHashes.length > 0)
    return (
      `l.size() == ${rootHashes.length} && [${celLiteral(rootHashes.toReversed())}].all(h,\n` +
      `  ${positions(rootHashes.length)}.all(i, ${isPartition} && ${once(partition)} &&\n` +
      `    ${celLiteral(verified)} in l[i].options &&\n` +
      `    ${celLiteral(rootHash)} + h[i] in l[i].options && ${once(rootHash)}))`
    );
  const whole =
    'l.size() == 1 && l[0].options.all(o, o != "X-kata.gpt-partitioned=true" &&\n' +
    `    !o.startsWith(${celLiteral(partition)}))`;
  if (layers === 1) return whole;
  const count = layers === undefined ? `l.size() > 1 && l.size() <= ${maxLayers}` : `l.size() == ${layers}`;
  const within = layers === undefined ? 'i >= l.size() || ' : '';
  return (
    `${whole} ||\n  ${count} && ${positions(layers ?? maxLayers)}.all(i,\n` +
    `    ${within}${isPartition} && ${once(partition)})`
  );
}

function positions(count: number): string {
  return `[${Array.from({ length: count }, (_, index) => index).join(', ')}]`;
}
