import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestComponentPrograms } from './guest-components.js';
import { makeRootfs } from './rootfs.js';

/**
 * Returns shell commands that give the guest the bundle of a pause container, by the manifest of an extension image.
 *
 * @param programs which also have a confidential data hub: an extension image replaces the components of the guest.
 */
export function pauseBundle(files: string, programs?: GuestComponentPrograms): string {
  const image = mkdtempSync(join(files, 'extension-'));
  mkdirSync(join(image, 'etc/kata-extensions'), { recursive: true });
  const paths = 'schema_version = 1\n[paths]\n"pause-bundle" = "pause"\n';
  const manifest = programs === undefined ? paths : `${paths}${dataHub}`;
  if (programs !== undefined)
    cpSync(join(programs.directory, 'bin'), join(image, 'bin'), { recursive: true });
  writeFileSync(join(image, 'etc/kata-extensions/components.toml'), manifest);
  makeRootfs(join(image, 'pause'));
  const process = { args: [...pauseProcess], cwd: '/', env: ['PATH=/bin'] };
  writeFileSync(join(image, 'pause/config.json'), JSON.stringify({ process }));
  const root = '/run/kata-extensions/coco';
  return `mkdir -p ${root} && mount --bind ${image} ${root}`;
}

const dataHub = `[[process]]
id = "confidential-data-hub"
level = 1
path = "bin/confidential-data-hub"
wait_socket = "\${cdh_socket}"
timeout_secs = "10"
`;

/** The process of that container. */
export const pauseProcess: readonly string[] = ['/bin/sleep', '1000'];
