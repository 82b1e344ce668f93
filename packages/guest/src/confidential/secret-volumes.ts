import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { Directory, mount, type Syscalls } from '@kata-agent/linux';
import type { UndoStack } from '../container/undo-stack.js';
import type { OpenSource } from '../source/open-source.js';
import { sharedPath } from '../source/shared-directory.js';
import { unmount } from '../storage/unmount.js';
import type { DataHub } from './data-hub.js';
import { refuseSwap } from './refuse-swap.js';
import { hasSealedFile } from './sealed-files.js';
import { copyUnsealed } from './unsealed-copy.js';

/** Sources that Kata's agent does not look into, by the end of their path (docs/coco-facts.md, "Sealed secrets"). */
const noSecrets = ['resolv.conf', 'termination-log', 'hostname', 'hosts', 'serviceaccount'];

/** What the volumes use of the guest. */
export interface SecretParts {
  readonly hub: DataHub;
  /** A directory of the agent for the copies; created with the first. */
  readonly directory: string;
  readonly paths: { readonly kata: string; readonly proc: string };
  readonly syscalls: Syscalls;
  readonly made: UndoStack;
  readonly signal: AbortSignal | undefined;
}

/**
 * The volumes of a container that have sealed secrets. The container gets copies in memory, with the plain text; so the host, which
 * may share the volume, cannot read it there, and removing the container removes it.
 */
export class SecretVolumes {
  readonly #parts: SecretParts;
  #count = 0;

  constructor(parts: SecretParts) {
    this.#parts = parts;
  }

  /** Returns a source, or the copy that replaces it; then the source is closed. `named`: for errors. */
  async replaced(source: OpenSource, named: string): Promise<OpenSource> {
    const { paths, syscalls } = this.#parts;
    const isShared = source.path.startsWith(`${sharedPath(paths.kata)}/`);
    if (!isShared || !source.isDirectory || noSecrets.some((end) => source.path.endsWith(end))) return source;
    const volume = Directory.open(syscalls, `/proc/self/fd/${source.descriptor.fd}`);
    try {
      if (!(await hasSealedFile(volume))) return source;
      refuseSwap(paths.proc);
      const descriptor = await this.#copy(volume, named);
      source.descriptor.close();
      return { ...source, descriptor };
    } finally {
      volume.close();
    }
  }

  async #copy(volume: Directory, named: string): Promise<OpenSource['descriptor']> {
    const { hub, directory, syscalls, made, signal } = this.#parts;
    if (this.#count === 0) {
      mkdirSync(directory, { mode: 0o700 });
      made.push(`directory ${directory}`, () => rmdirSync(directory));
    }
    this.#count += 1;
    const place = join(directory, String(this.#count));
    mkdirSync(place, { mode: 0o700 });
    made.push(`directory ${place}`, () => rmdirSync(place));
    const options = ['nosuid', 'nodev', 'noexec', 'mode=755', 'size=32m'];
    mount(syscalls, { source: 'tmpfs', target: place, type: 'tmpfs', options });
    made.push(`mount at ${place}`, () => unmount(place, syscalls));
    const copy = Directory.open(syscalls, place);
    try {
      await copyUnsealed(volume, copy, { hub, signal, named });
      const parent = Directory.open(syscalls, directory);
      try {
        return parent.place(String(this.#count));
      } finally {
        parent.close();
      }
    } finally {
      copy.close();
    }
  }
}
