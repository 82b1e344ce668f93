import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of its own, gone after `remove`. Its path is short, since a socket's has at most 107 bytes. */
export class TemporaryFolder {
  readonly path: string = mkdtempSync(join(tmpdir(), 'kata-interop-'));

  join(name: string): string {
    return join(this.path, name);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
