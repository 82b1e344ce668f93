import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Behaviour } from './guest-component.js';

/** The names of the components, in the order in which they are started. */
export const componentNames = ['attestation-agent', 'confidential-data-hub', 'api-server-rest'] as const;
export type ComponentName = (typeof componentNames)[number];

/** What a component was started with. */
export interface StartedComponent {
  readonly pid: number;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Stand-ins for the guest components (guest-component.ts), in a directory that an agent's mount namespace has. */
export class GuestComponentPrograms {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'kata-agent-components-'));

  constructor(names: readonly ComponentName[] = componentNames) {
    for (const name of names) this.write(join('bin', name), name);
  }

  /** Puts them in /usr/local/bin, which has node on some machines. */
  get setup(): string {
    return `mount -t overlay -o lowerdir=${this.directory}/bin:/usr/local/bin kata-test /usr/local/bin`;
  }

  /** Writes a program that runs the stand-in `name`. */
  write(path: string, name: string): void {
    const program = fileURLToPath(new URL('guest-component.js', import.meta.url));
    const text = `#!/bin/sh\nexec ${process.execPath} ${program} ${name} ${this.directory} "$@"\n`;
    const file = join(this.directory, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text, { mode: 0o755 });
  }

  behave(name: string, behaviour: Behaviour | undefined): void {
    const file = join(this.directory, `${name}.behaviour`);
    if (behaviour === undefined) rmSync(file, { force: true });
    else writeFileSync(file, behaviour);
  }

  started(name: string): StartedComponent {
    return JSON.parse(readFileSync(join(this.directory, `${name}.json`), 'utf8')) as StartedComponent;
  }

  /** The calls that a component got, oldest first. */
  calls(name: string): readonly Readonly<Record<string, unknown>>[] {
    const lines = readFileSync(join(this.directory, `${name}.calls`), 'utf8')
      .split('\n')
      .slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  }

  dispose(): void {
    rmSync(this.directory, { recursive: true });
  }
}
