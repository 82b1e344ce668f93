import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cellText } from '@kata-agent/cli';
import { isDigest } from '@kata-agent/registry';
import { type BoltBucket, BoltError, readBolt } from './bolt-database.js';
import { directoryFiles, type ImageFiles } from './image-files.js';
import type { LayoutEntry } from './oci-layout.js';

/** Under containerd's `root`, such as `/var/lib/containerd`. */
const databaseName = 'io.containerd.metadata.v1.bolt/meta.db';
const contentName = 'io.containerd.content.v1.content';

/** The images that a containerd has: the kubelet's, and those of other namespaces whose names these do not have. */
export interface ContainerdStore {
  readonly entries: readonly LayoutEntry[];
  readonly files: ImageFiles;
}

/**
 * Reads the store of a containerd, which may run. Undefined: the directory has none. Throws a CommandError (3) if it
 * cannot be read, a BoltError, or an ImageError for a digest.
 */
export function openContainerdStore(directory: string): ContainerdStore | undefined {
  const database = join(directory, databaseName);
  if (!existsSync(database)) return undefined;
  return {
    entries: readBolt(database, imagesIn),
    // Blobs have the paths of a layout.
    files: { ...directoryFiles(join(directory, contentName)), path: directory },
  };
}

/** What the kubelet's pods run; `moby` is Docker's, `default` is ctr's. */
const podNamespace = 'k8s.io';

/** Source: github.com/containerd/containerd, core/metadata/buckets.go: `v1/NAMESPACE/images/NAME/target/digest`. */
function imagesIn(root: BoltBucket): readonly LayoutEntry[] {
  const namespaces = bucketsIn(bucketsIn(root).get('v1'));
  const ofPods = imagesOf(namespaces.get(podNamespace));
  const others = [...namespaces].flatMap(([name, bucket]) => (name === podNamespace ? [] : imagesOf(bucket)));
  const names = new Set(ofPods.flatMap(({ names }) => names));
  return [...ofPods, ...others.filter((entry) => !entry.names.some((name) => names.has(name)))];
}

function imagesOf(namespace: BoltBucket | undefined): readonly LayoutEntry[] {
  return [...bucketsIn(bucketsIn(namespace).get('images'))].map(([name, image]) => {
    const bytes = bucketsIn(image).get('target')?.contents().get('digest');
    const digest = Buffer.isBuffer(bytes) ? bytes.toString('utf8') : '';
    if (isDigest(digest)) return { names: [name], digest };
    throw new BoltError(`image ${cellText(name)} has no digest of a known form: ${cellText(digest)}`);
  });
}

function bucketsIn(bucket: BoltBucket | undefined): ReadonlyMap<string, BoltBucket> {
  const found = new Map<string, BoltBucket>();
  for (const [name, value] of bucket?.contents() ?? []) if (!Buffer.isBuffer(value)) found.set(name, value);
  return found;
}
