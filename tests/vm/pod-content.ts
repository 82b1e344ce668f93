// The content of pods in guests without a shared directory: the same with each way to bring an image.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Entry } from '@kata-agent/tool-guest-image/tree/archive';
import { type Layer, layerOfTree } from '../harness/oci-image.js';
import { makeRootfs } from '../harness/rootfs.js';

/** Makes the layers of an image of about 49 MB, 90 MB unpacked: busybox, and four with `data-0` to `data-3`. The trees stay. */
export function podLayers(directory: string): readonly Layer[] {
  const system = layerOfTree(makeRootfs(join(directory, 'system')));
  const data = [0, 1, 2, 3].map((index) => layerOfTree(dataTree(join(directory, `data-${index}`), index)));
  return [system, ...data];
}

/** In megabytes, for people. */
export const mega = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Files that are a layer: 22 MB that a compressor halves. */
function dataTree(directory: string, index: number): string {
  const below = join(directory, `data-${index}`);
  mkdirSync(below, { recursive: true });
  writeFileSync(join(below, 'name'), `data ${index}\n`);
  for (let file = 0; file < 100; file += 1)
    writeFileSync(join(below, `file-${file}`), randomBytes(110_000).toString('hex'));
  return directory;
}

/** The bundle of the pause container in the guest image. */
export function pauseBundle(): readonly Entry[] {
  const made = { args: ['/bin/busybox', 'sleep', '123456'], cwd: '/', env: ['PATH=/bin'] };
  const config = Buffer.from(JSON.stringify({ ociVersion: '1.0.2', process: made }));
  const busybox = readFileSync('/usr/bin/busybox');
  return [
    { path: '/pause_bundle/config.json', data: config, mode: 0o644 },
    { path: '/pause_bundle/rootfs/bin/busybox', data: busybox, mode: 0o755 },
    ...['dev', 'proc', 'sys', 'etc'].map(
      (name) => ({ path: `/pause_bundle/rootfs/${name}`, directory: true }) as const,
    ),
  ];
}
