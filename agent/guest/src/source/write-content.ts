import { fchmodSync, fchownSync, writeSync } from 'node:fs';
import { type Directory, Open } from '@kata-agent/linux';
import type { Content } from './read-content.js';

/** Writes a new file of a directory of the agent. */
export function writeContent(directory: Directory, name: string, { bytes, uid, gid, mode }: Content): void {
  const file = directory.file(name, Open.WriteOnly | Open.Create | Open.Exclusive, 0o600);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file.fd, bytes, at);
    fchownSync(file.fd, uid, gid);
    fchmodSync(file.fd, mode);
  } finally {
    file.close();
  }
}
