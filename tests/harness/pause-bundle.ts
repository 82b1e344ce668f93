import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeRootfs } from './rootfs.js';

/** Returns shell commands that give the guest the bundle of a pause container, by the manifest of an extension image. */
export function pauseBundle(files: string): string {
  const image = mkdtempSync(join(files, 'extension-'));
  mkdirSync(join(image, 'etc/kata-extensions'), { recursive: true });
  const manifest = 'schema_version = 1\n[paths]\n"pause-bundle" = "pause"\n';
  writeFileSync(join(image, 'etc/kata-extensions/components.toml'), manifest);
  makeRootfs(join(image, 'pause'));
  const process = { args: [...pauseProcess], cwd: '/', env: ['PATH=/bin'] };
  writeFileSync(join(image, 'pause/config.json'), JSON.stringify({ process }));
  const root = '/run/kata-extensions/coco';
  return `mkdir -p ${root} && mount --bind ${image} ${root}`;
}

/** The process of that container. */
export const pauseProcess: readonly string[] = ['/bin/sleep', '1000'];
