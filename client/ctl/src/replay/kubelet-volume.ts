import {
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** The files of a ConfigMap or Secret, in a directory that the host shares with the guest. */
export interface KubeletVolume {
  readonly directory: string;
  /** File texts by name. */
  readonly files: Readonly<Record<string, string>>;
}

const data = '..data';

/**
 * Writes a volume atomically as the kubelet does, so that a reader never sees a mixture of old and new files: a
 * directory named by time, a `..data` link to it that is replaced by rename, and a link for each file through `..data`
 * (Kubernetes, pkg/volume/util/atomic_writer.go).
 */
export function writeVolume({ directory, files }: KubeletVolume): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const before = targetOf(join(directory, data));
  const payload = `..${process.pid}_${process.hrtime.bigint()}`;
  mkdirSync(join(directory, payload));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, payload, name), text, { mode: 0o644 });
  }
  const next = join(directory, '..data_tmp');
  symlinkSync(payload, next);
  renameSync(next, join(directory, data));
  const there = readdirSync(directory).filter((name) => !name.startsWith('..'));
  for (const name of Object.keys(files)) {
    if (!there.includes(name)) symlinkSync(join(data, name), join(directory, name));
  }
  for (const name of there) {
    if (!Object.hasOwn(files, name)) rmSync(join(directory, name));
  }
  if (before !== undefined) rmSync(join(directory, before), { recursive: true });
}

export function removeVolume({ directory }: KubeletVolume): void {
  rmSync(directory, { recursive: true, force: true });
}

/** Returns the target of a link; undefined if there is none. */
function targetOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
