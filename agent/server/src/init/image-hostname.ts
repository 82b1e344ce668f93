import { readFileSync } from 'node:fs';
import { hasCode } from '@kata-agent/linux';

/** HOST_NAME_MAX of the kernel. */
const maxLength = 64;

/**
 * Returns the hostname of the guest image, the first word of /etc/hostname; `localhost` if there is none that the
 * kernel accepts. Kata's agent does the same (Kata 4.1, src/agent/src/main.rs).
 */
export function imageHostname(file: string = '/etc/hostname'): string {
  const name = firstWord(file);
  return name === '' || Buffer.byteLength(name) > maxLength ? 'localhost' : name;
}

function firstWord(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim().split(/\s/)[0] ?? '';
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return '';
    throw error;
  }
}
