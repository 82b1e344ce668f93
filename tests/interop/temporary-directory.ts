import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A temporary directory, deleted by `remove`. Its path is short: a socket's has at most 107 bytes. */
export class TemporaryDirectory {
  readonly path: string = mkdtempSync(join(tmpdir(), 'kata-interop-'));

  join(name: string): string {
    return join(this.path, name);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
