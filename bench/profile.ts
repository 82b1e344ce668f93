import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type GoPrograms, root } from './go-programs.js';
import { runForJson, startProgram } from './program.js';

/** The used part of the output of `node --cpu-prof`. Times are in µs. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { functionName: string; url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/**
 * Shows where our server spends its time under load, with the log on: the share of non-idle time for each part of the
 * program.
 */
export async function profileCalls(go: GoPrograms, method: string, callers: number): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-'));
  try {
    const address = join(directory, 'socket');
    const flags = ['--cpu-prof', `--cpu-prof-dir=${directory}`];
    const script = join(root, 'bench', 'dist', 'server.js');
    const server = await startProgram(process.execPath, [
      ...flags,
      script,
      address,
      join(directory, 'audit.log'),
    ]);
    const args = ['-address', address, '-method', method, '-callers', String(callers), '-for', '4s'];
    await runForJson(go.client, args);
    await server.stop();
    const file = readdirSync(directory).find((name) => name.endsWith('.cpuprofile'));
    if (file === undefined) throw new Error('Node wrote no profile');
    const profile = JSON.parse(readFileSync(join(directory, file), 'utf8')) as CpuProfile;
    return `${method}, ${callers} callers, log on\n${renderShares(shares(profile))}`;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function shares(profile: CpuProfile): Map<string, number> {
  const parts = new Map(profile.nodes.map(({ id, callFrame }) => [id, part(callFrame)]));
  const times = new Map<string, number>();
  for (const [index, id] of profile.samples.entries()) {
    const name = parts.get(id) ?? '(unknown)';
    if (name === '(idle)') continue;
    times.set(name, (times.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0));
  }
  return times;
}

/** Returns the part of the program with a function: a package's file, a dependency, Node's own code, or the engine. */
function part({ functionName, url }: { readonly functionName: string; readonly url: string }): string {
  const own = /\/packages\/([^/]+)\/dist\/(.+)\.js$/.exec(url);
  if (own !== null) return `${own[1]}/${own[2]}`;
  const dependency = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url);
  if (dependency !== null) return dependency[1] ?? url;
  if (url.startsWith('node:')) return url;
  if (url.startsWith('file:')) return 'bench';
  return functionName.startsWith('(') ? functionName : `native ${functionName}`;
}

function renderShares(times: ReadonlyMap<string, number>): string {
  const total = [...times.values()].reduce((sum, time) => sum + time, 0);
  return [...times]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, 20)
    .map(([name, time]) => `${((100 * time) / total).toFixed(1).padStart(5)} %  ${name}`)
    .join('\n');
}
