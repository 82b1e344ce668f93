import type { HostMedia } from '../media/host-media.js';
import type { MemoryCopies } from '../source/memory-copies.js';
import type { OpenSource } from '../source/open-source.js';
import { sharedPath } from '../source/shared-directory.js';
import { writeContent } from '../source/write-content.js';
import type { DataHub } from './data-hub.js';
import { refuseSwap } from './refuse-swap.js';
import { maxSealedBytes } from '@kata-agent/catalogue/sealed-secret';
import type { Permit, SecretPermits } from './secret-permits.js';
import { copyUnsealed, unsealedContent } from './unsealed-copy.js';

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
