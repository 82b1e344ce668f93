import { fstatSync } from 'node:fs';
import { type Descriptor, Directory, type Syscalls } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';
import { quotedPath } from '../quoted.js';
import { readContent } from '../source/read-content.js';
import { writeContent } from '../source/write-content.js';
import type { DataHub } from './data-hub.js';
import { isInternal, reachedIn } from './sealed-files.js';
import { maxSealedBytes, sealedPrefix } from '@kata-agent/catalogue/sealed-secret';
import { anySecret, type Permit } from './secret-permits.js';

/** Bounds of a volume with sealed secrets: of Kubernetes, a Secret has at most 1 MiB. */
const maxEntries = 1_000;
const maxBytes = 16 * 1024 * 1024;
const maxDepth = 8;

/** What copying needs. */
interface Copying {
  readonly syscalls: Syscalls;
  readonly hub: DataHub;
  readonly signal: AbortSignal | undefined;
  /** For messages. */
  readonly named: string;
  /** The files that are unsealed, by path in the volume; undefined: all sealed ones. */
  readonly files: ReadonlyMap<string, Permit> | undefined;
}

/**
 * Copies a volume as the container sees it, its sealed secrets as plain text where that is allowed. Links become what they lead to in
 * the volume, and those that lead out of it are left out: so no second name in the copy leads to a plain text. The copy is in
 * memory, and the volume itself, which the host can see, stays as it is.
 */
export async function copyUnsealed(from: Directory, to: Directory, copying: Copying): Promise<void> {
  const left = { entries: maxEntries, bytes: maxBytes };
  await copyDirectory(from, { path: '', names: await from.firstNames(maxEntries + 1) }, to, {
    ...copying,
    left,
    depth: 0,
  });
}

/** Returns a file as plain text if it is sealed, and its bytes otherwise. */
export async function unsealedContent(
  place: Descriptor,
  permit: Permit | undefined,
  { hub, signal, named, limit }: Pick<Copying, 'hub' | 'signal' | 'named'> & { readonly limit: number },
): ReturnType<typeof readContent> {
  const content = await readContent(place, limit, named);
  const isSealed = content.bytes.subarray(0, sealedPrefix.length).toString('latin1') === sealedPrefix;
  if (permit === undefined || !isSealed) return content;
  if (content.bytes.length > maxSealedBytes)
    throw new GuestError('exhausted', `${named} is a sealed secret of more than ${maxSealedBytes} bytes`);
  permit(content.bytes, named);
  return { ...content, bytes: Buffer.from(await hub.unsealSecret(content.bytes, signal)) };
}

interface Progress extends Copying {
  readonly left: { entries: number; bytes: number };
  readonly depth: number;
}

async function copyDirectory(
  volume: Directory,
  { path, names }: { readonly path: string; readonly names: readonly Buffer[] },
  to: Directory,
  progress: Progress,
): Promise<void> {
  const { left, depth } = progress;
  if (depth > maxDepth) throw tooLarge(progress, `is more than ${maxDepth} directories deep`);
  left.entries -= names.length;
  if (left.entries < 0) throw tooLarge(progress, `has more than ${maxEntries} entries`);
  for (const name of names.map((bytes) => bytes.toString('utf8'))) {
    if (path === '' && isInternal(name)) continue;
    const below = path === '' ? name : `${path}/${name}`;
    const place = reachedIn(volume, below);
    if (place === undefined) continue;
    try {
      const found = fstatSync(place.fd);
      if (found.isDirectory()) {
        const owner = { uid: found.uid, gid: found.gid };
        const target = to.makeDirectory(name, { mode: found.mode & 0o7777, owner });
        const inner = Directory.open(progress.syscalls, `/proc/self/fd/${place.fd}`);
        try {
          const names = await inner.firstNames(left.entries + 1);
          await copyDirectory(volume, { path: below, names }, target, { ...progress, depth: depth + 1 });
        } finally {
          inner.close();
          target.close();
        }
      } else if (found.isFile()) await copyFile(place, { below, name }, to, progress);
    } finally {
      place.close();
    }
  }
}

async function copyFile(
  place: Descriptor,
  { below, name }: { readonly below: string; readonly name: string },
  to: Directory,
  progress: Progress,
): Promise<void> {
  const { hub, signal, left, files } = progress;
  const permit = files === undefined ? anySecret : files.get(below);
  const named = `${progress.named}, ${quotedPath(below)},`;
  const content = await unsealedContent(place, permit, { hub, signal, named, limit: left.bytes });
  left.bytes -= content.bytes.length;
  writeContent(to, name, content);
}

function tooLarge({ named }: Pick<Copying, 'named'>, what: string): GuestError {
  return new GuestError(
    'exhausted',
    `${named} has a sealed secret and ${what}; help: mount it without the other files`,
  );
}
