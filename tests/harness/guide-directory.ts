import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ctlProgram, realmProgram } from './repository.js';

const programs = { 'kata-agent-ctl': ctlProgram, 'kata-realm': realmProgram };

/** A directory in which the commands of a page are run as they are printed: the programs are in PATH. */
export class GuideDirectory {
  readonly path: string = mkdtempSync(join(tmpdir(), 'kata-guide-'));
  readonly #bin: string = mkdtempSync(join(tmpdir(), 'kata-guide-bin-'));

  constructor() {
    // `npm test` bundles the programs to files that are not executable.
    for (const [name, program] of Object.entries(programs)) {
      writeFileSync(join(this.#bin, name), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
      chmodSync(join(this.#bin, name), 0o755);
    }
  }

  run(commands: string): { readonly status: number | null; readonly output: string } {
    const { status, stdout, stderr } = spawnSync('sh', ['-eu', '-c', commands], {
      cwd: this.path,
      env: { ...process.env, PATH: `${this.#bin}:${process.env['PATH'] ?? ''}` },
      encoding: 'utf8',
    });
    return { status, output: stdout + stderr };
  }

  dispose(): void {
    for (const directory of [this.path, this.#bin]) rmSync(directory, { recursive: true });
  }
}
