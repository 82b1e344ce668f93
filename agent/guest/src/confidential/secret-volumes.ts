import type { HostMedia } from '../media/host-media.js';
import { type MemoryCopies, writeContent } from '../source/memory-copies.js';
import type { OpenSource } from '../source/open-source.js';
import { sharedPath } from '../source/shared-directory.js';
import type { DataHub } from './data-hub.js';
import { refuseSwap } from './refuse-swap.js';
import { maxSealedBytes } from '@kata-agent/catalogue/sealed-secret';
import type { Directory } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';
import type { Content } from '../source/read-content.js';
import type { VolumeEntry } from './sealed-files.js';
import { anySecret, type Permit, type SecretPermits } from './secret-permits.js';

/** Sources that Kata's agent does not look into, by the end of their path (docs/records/coco-facts.md, "Sealed secrets"). */
const noSecrets = ['resolv.conf', 'termination-log', 'hostname', 'hosts', 'serviceaccount'];

/** What the volumes use of the guest. */
export interface SecretParts {
  readonly hub: DataHub;
  readonly permits: SecretPermits;
  readonly copies: MemoryCopies;
  readonly paths: { readonly kata: string; readonly proc: string };
  readonly media: HostMedia;
  readonly signal: AbortSignal | undefined;
}

/** A mount whose source was opened. */
interface SecretMount {
  readonly source: OpenSource;
  /** A clean path. */
  readonly destination: string;
  /** For errors. */
  readonly named: string;
}

/**
 * The volumes of a container that have sealed secrets. The container gets copies in memory, with the plain text; so the host, which
 * may share the volume, cannot read it there, and removing the container removes it.
 */
export class SecretVolumes {
  readonly #parts: SecretParts;

  constructor(parts: SecretParts) {
    this.#parts = parts;
  }

  /** Returns a source, or the copy that replaces it; then the source is closed. */
  async replaced({ source, destination, named }: SecretMount): Promise<OpenSource> {
    const { permits, paths } = this.#parts;
    if (!source.path.startsWith(`${sharedPath(paths.kata)}/`)) return source;
    const files = permits.filesOf(destination);
    if (files === undefined && noSecrets.some((end) => source.path.endsWith(end))) return source;
    const descriptor = source.isDirectory
      ? await this.#copyDirectory(source, files, named)
      : await this.#copyFile(source, files?.get(''), named);
    if (descriptor === undefined) return source;
    source.descriptor.close();
    return { ...source, descriptor };
  }

  async #copyDirectory(
    source: OpenSource,
    files: ReadonlyMap<string, Permit> | undefined,
    named: string,
  ): Promise<OpenSource['descriptor'] | undefined> {
    const { hub, copies, paths, media, signal } = this.#parts;
    if (files?.size === 0) return undefined;
    const volume = [source.descriptor.fd];
    // A volume that the configuration has a secret for is copied in any case: the host could add the file, as plain text, later.
    if (files === undefined && !(await media.run('hasSealedFile', {}, volume))) return undefined;
    refuseSwap(paths.proc);
    const entries = await media.run('readVolume', { named }, volume);
    return await copies.add('32m', async (copy) => {
      await copyUnsealed(entries, copy, { hub, signal, named, files });
      return undefined;
    });
  }

  /** A file that is mounted itself (`subPath`), which Kata's agent does not look into. */
  async #copyFile(
    { descriptor }: OpenSource,
    permit: Permit | undefined,
    named: string,
  ): Promise<OpenSource['descriptor'] | undefined> {
    const { hub, copies, paths, media, signal } = this.#parts;
    const file = [descriptor.fd];
    if (permit === undefined) return undefined;
    refuseSwap(paths.proc);
    const sealed = await media.run('readContent', { limit: maxSealedBytes, named }, file);
    const content = await unsealedContent(sealed, permit, { hub, signal, named });
    return copies.add('2m', (copy) => {
      writeContent(copy, 'secret', content);
      return Promise.resolve('secret');
    });
  }
}

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
async function copyUnsealed(
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
async function unsealedContent(
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
