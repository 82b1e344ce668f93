import { maxSealedBytes } from '@kata-agent/catalogue/sealed-secret';
import type { Directory } from '@kata-agent/linux';
import { GuestError } from '../error/guest-error.js';
import { quotedPath } from '../quoted.js';
import type { Content } from '../source/read-content.js';
import { writeContent } from '../source/write-content.js';
import type { DataHub } from './data-hub.js';
import type { VolumeEntry } from './sealed-files.js';
import { anySecret, type Permit } from './secret-permits.js';

/** What copying needs. */
interface Copying {
  readonly hub: DataHub;
  readonly signal: AbortSignal | undefined;
  /** For messages. */
  readonly named: string;
  /** The files that are unsealed, by path in the volume; undefined: all sealed ones. */
  readonly files: ReadonlyMap<string, Permit> | undefined;
}

/**
 * Writes a copy of a volume, its sealed secrets as plain text where that is allowed. It has no links, so no second name in the copy
 * leads to a plain text. The copy is in memory, and the volume itself, which the host can see, stays as it is.
 */
export async function copyUnsealed(
  entries: readonly VolumeEntry[],
  to: Directory,
  { files, ...copying }: Copying,
): Promise<void> {
  for (const entry of entries) {
    const { path } = entry;
    if ('directory' in entry) {
      const { mode, uid, gid } = entry.directory;
      to.makeDirectory(path, { mode, owner: { uid, gid } }).close();
      continue;
    }
    const permit = files === undefined ? anySecret : files.get(path);
    const named = `${copying.named}, ${quotedPath(path)},`;
    writeContent(to, path, await unsealedContent(entry.file, permit, { ...copying, named }));
  }
}

/**
 * Returns the content of a file as plain text if it is sealed and that is allowed, and as it is otherwise.
 *
 * @throws GuestError `refused`: the configuration has a secret for the file, and it is another text.
 */
export async function unsealedContent(
  content: Content,
  permit: Permit | undefined,
  { hub, signal, named }: Pick<Copying, 'hub' | 'signal' | 'named'>,
): Promise<Content> {
  const { bytes } = content;
  if (permit?.(bytes, named) !== true) return content;
  if (bytes.length > maxSealedBytes)
    throw new GuestError('exhausted', `${named} is a sealed secret of more than ${maxSealedBytes} bytes`);
  return { ...content, bytes: await hub.unsealSecret(bytes, signal) };
}
