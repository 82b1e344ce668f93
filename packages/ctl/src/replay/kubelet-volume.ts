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

/** The files of a ConfigMap or Secret, in a folder that the host shares with the guest. */
export interface KubeletVolume {
  readonly folder: string;
  /** Text by name. */
  readonly files: Readonly<Record<string, string>>;
}

const data = '..data';

/**
 * Writes a volume as the kubelet does, so that who reads it sees the old files or the new ones, never some of each: a
 * folder with the time in its name, `..data` as a link to it that is replaced at once, and a link for each file through
 * `..data` (Kubernetes, pkg/volume/util/atomic_writer.go).
 */
export function writeVolume({ folder, files }: KubeletVolume): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const before = targetOf(join(folder, data));
  const payload = `..${process.pid}_${process.hrtime.bigint()}`;
  mkdirSync(join(folder, payload));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, payload, name), text, { mode: 0o644 });
  }
  const next = join(folder, '..data_tmp');
  symlinkSync(payload, next);
  renameSync(next, join(folder, data));
  const there = readdirSync(folder).filter((name) => !name.startsWith('..'));
  for (const name of Object.keys(files)) {
    if (!there.includes(name)) symlinkSync(join(data, name), join(folder, name));
  }
  for (const name of there) {
    if (!Object.hasOwn(files, name)) rmSync(join(folder, name));
  }
  if (before !== undefined) rmSync(join(folder, before), { recursive: true });
}

export function removeVolume({ folder }: KubeletVolume): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Undefined: there is no such link. */
function targetOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
