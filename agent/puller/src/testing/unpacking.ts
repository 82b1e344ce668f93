import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { At, loadSyscalls, Open } from '@kata-agent/linux';
import { Budget, defaultLimits, type UnpackLimits } from '../unpack/budget.js';
import { LayerTree } from '../unpack/layer-tree.js';
import { type UnpackedLayer, unpackLayer } from '../unpack/unpack-layer.js';
import type { BuiltLayer } from './tar-builder.js';

/** Reason to skip tests that change owners. */
export const whyNotRoot: string | false =
  process.getuid?.() === 0 || process.env.CI === 'true' ? false : 'chown(2) needs root';

/**
 * The mounts of this process that a confined child could have left: its staging root (confine.ts), and those of workplaces. Others of
 * the machine come and go.
 */
export function confinementMounts(): readonly string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / (?:\/run|\/tmp|\/mnt) /.test(line) || line.includes(workplaces));
}

/** Where the directories of workplaces are, and how their names begin. */
const workplaces = join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'unpack-');

/** A directory with an empty root, and files beside it that no layer may change. */
export class Workplace {
  readonly path: string = mkdtempSync(workplaces);
  readonly root: string = join(this.path, 'root');

  constructor(context: TestContext) {
    context.after(() => rmSync(this.path, { recursive: true, force: true }));
    this.empty();
    mkdirSync(join(this.path, 'canary'));
    writeFileSync(join(this.path, 'canary/file'), 'untouched', { mode: 0o640 });
  }

  /** Removes the root and creates it again. */
  empty(): void {
    rmSync(this.root, { recursive: true, force: true });
    mkdirSync(this.root);
  }

  /** What lies beside the root, as a value to compare. */
  outside(): unknown {
    return [
      readdirSync(this.path),
      readdirSync(join(this.path, 'canary')),
      readFileSync(join(this.path, 'canary/file'), 'utf8'),
    ];
  }

  /** Applies layers to the root, in this process. */
  async unpack(
    layers: readonly BuiltLayer[],
    limits: Partial<UnpackLimits> = {},
  ): Promise<readonly UnpackedLayer[]> {
    const syscalls = loadSyscalls();
    const root = syscalls.openat(At.Cwd, this.root, Open.Path | Open.Directory);
    const budget = new Budget({ ...defaultLimits, ...limits });
    const tree = new LayerTree(syscalls, root, budget);
    try {
      const results: UnpackedLayer[] = [];
      for (const layer of layers) results.push(await unpackLayer(tree, layer, pieces(layer.blob), budget));
      return results;
    } finally {
      tree.close();
      syscalls.close(root);
    }
  }
}

/** Gives a blob in pieces, as files and sockets do. */
async function* pieces(blob: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < blob.length; at += 100_003) yield blob.subarray(at, at + 100_003);
}
