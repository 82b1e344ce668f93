import { fchmodSync, fchownSync, readSync, writeSync } from 'node:fs';
import { type Directory, Open } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';
import type { DataHub } from './data-hub.js';
import { beginsSealed } from './sealed-files.js';
import { maxSealedBytes } from './sealed-secret.js';

/** Bounds of a volume with sealed secrets: of Kubernetes, a Secret has at most 1 MiB. */
const maxEntries = 1_000;
const maxBytes = 16 * 1024 * 1024;
const maxDepth = 8;

/** What copying needs. */
interface Copying {
  readonly hub: DataHub;
  readonly signal: AbortSignal | undefined;
  /** For messages. */
  readonly named: string;
}

/**
 * Copies a volume, each sealed secret as its plain text under its own name. The copy is in memory, and the volume itself, which the
 * host can see, stays as it is.
 */
export async function copyUnsealed(from: Directory, to: Directory, copying: Copying): Promise<void> {
  const left = { entries: maxEntries, bytes: maxBytes };
  await copyDirectory(from, to, { ...copying, left, depth: 0 });
}

interface Progress extends Copying {
  readonly left: { entries: number; bytes: number };
  readonly depth: number;
}

async function copyDirectory(from: Directory, to: Directory, progress: Progress): Promise<void> {
  const { left, depth } = progress;
  if (depth > maxDepth) throw tooLarge(progress, `is more than ${maxDepth} directories deep`);
  const names = await from.firstNames(left.entries + 1);
  left.entries -= names.length;
  if (left.entries < 0) throw tooLarge(progress, `has more than ${maxEntries} entries`);
  for (const name of names.map((bytes) => bytes.toString('utf8'))) {
    const found = from.stat(name);
    if (found === undefined) continue;
    if (found.isSymbolicLink()) to.symlink(from.readLink(name), name);
    else if (found.isDirectory()) {
      const owner = { uid: found.uid, gid: found.gid };
      const [source, target] = [
        from.directory(name),
        to.makeDirectory(name, { mode: found.mode & 0o7777, owner }),
      ];
      try {
        await copyDirectory(source, target, { ...progress, depth: depth + 1 });
      } finally {
        source.close();
        target.close();
      }
    } else if (found.isFile()) await copyUnsealedFile(from, to, name, progress);
  }
}

async function copyUnsealedFile(
  from: Directory,
  to: Directory,
  name: string,
  progress: Progress,
): Promise<void> {
  const { hub, signal, left } = progress;
  const isSealed = beginsSealed(from, name);
  const content = readBounded(
    from,
    name,
    Math.min(left.bytes, isSealed ? maxSealedBytes : left.bytes),
    progress,
  );
  left.bytes -= content.length;
  const plain = isSealed ? await hub.unsealSecret(content, signal) : content;
  const { uid, gid, mode } = from.stat(name) ?? { uid: 0, gid: 0, mode: 0o400 };
  const file = to.file(name, Open.WriteOnly | Open.Create | Open.Exclusive, 0o600);
  try {
    for (let at = 0; at < plain.length; ) at += writeSync(file.fd, plain, at);
    fchownSync(file.fd, uid, gid);
    fchmodSync(file.fd, mode & 0o777);
  } finally {
    file.close();
  }
}

function readBounded(from: Directory, name: string, limit: number, progress: Progress): Buffer {
  const file = from.file(name, Open.ReadOnly);
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for (;;) {
      const chunk = Buffer.alloc(64 * 1024);
      const read = readSync(file.fd, chunk, 0, chunk.length, length);
      if (read === 0) return Buffer.concat(chunks);
      length += read;
      if (length > limit)
        throw tooLarge(progress, `has more bytes than a volume of secrets can have (${maxBytes})`);
      chunks.push(chunk.subarray(0, read));
    }
  } finally {
    file.close();
  }
}

function tooLarge({ named }: Copying, what: string): GuestError {
  return new GuestError(
    'exhausted',
    `${named} has a sealed secret and ${what}; help: mount it without the other files`,
  );
}
