import { type Allocate, type FileLayer, type SegmentFile, systemFiles } from '../file-layer.js';

export type Operation =
  | 'append'
  | 'write'
  | 'writeNow'
  | 'datasync'
  | 'allocate'
  | 'truncate'
  | 'rename'
  | 'unlink'
  | 'syncDirectory';

/** The real files with injected failures, and a count of operations. */
export class FaultyFiles implements FileLayer {
  readonly counts: Map<Operation, number> = new Map();
  /**
   * Called for each operation: a returned code makes it fail. `bytes`: a write takes that many bytes and then fails.
   */
  fail: (operation: Operation, count: number) => string | undefined = () => undefined;
  partialBytes = 0;
  readonly #files: FileLayer;

  /** Without `allocate`, reserving space has no effect. */
  constructor(allocate: Allocate = () => undefined) {
    this.#files = systemFiles(allocate);
  }

  count(operation: Operation): number {
    return this.counts.get(operation) ?? 0;
  }

  async append(path: string, options: { readonly fresh: boolean }): Promise<SegmentFile> {
    this.#do('append');
    const file = await this.#files.append(path, options);
    return {
      write: async (bytes) => {
        const failure = this.#failure('write');
        if (failure === undefined) return file.write(bytes);
        if (this.partialBytes > 0) await file.write(bytes.subarray(0, this.partialBytes));
        throw failure;
      },
      writeNow: (bytes) => {
        this.#do('writeNow');
        return file.writeNow(bytes);
      },
      datasync: async () => {
        this.#do('datasync');
        await file.datasync();
      },
      allocate: (from, end) => {
        this.#do('allocate');
        return file.allocate(from, end);
      },
      truncate: async (size) => {
        this.#do('truncate');
        await file.truncate(size);
      },
      close: () => file.close(),
    };
  }

  async rename(from: string, to: string): Promise<void> {
    this.#do('rename');
    await this.#files.rename(from, to);
  }

  async unlink(path: string): Promise<void> {
    this.#do('unlink');
    await this.#files.unlink(path);
  }

  async syncDirectory(path: string): Promise<void> {
    this.#do('syncDirectory');
    await this.#files.syncDirectory(path);
  }

  #do(operation: Operation): void {
    const failure = this.#failure(operation);
    if (failure !== undefined) throw failure;
  }

  #failure(operation: Operation): Error | undefined {
    const count = this.count(operation) + 1;
    this.counts.set(operation, count);
    const code = this.fail(operation, count);
    return code === undefined
      ? undefined
      : Object.assign(new Error(`${code}: made to fail, ${operation}`), { code });
  }
}
