import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { join, relative } from 'node:path';

import { type CpuProfile, mergeProfiles, topFunctions, totalTime } from './cpu-profile.js';
import { flameGraph } from './flame-graph.js';
import { root } from './go-programs.js';
import { profileInto } from './node-command.js';
import type { Part } from './part.js';
import { renderTable } from './render.js';

/**
 * Runs a part with a CPU profile of each agent, and each other server of ours, that it starts; of a part that starts none, with
 * one of this process. Returns the paths of the profiles and of their flame graph, and the ten functions with the most time of
 * their own. Figures of such a run mean little, and are not returned.
 */
export async function profilePart({ name, measure }: Part): Promise<string> {
  const directory = join(root, 'build', 'profiles', name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  profileInto(directory);
  const own = await profiled(async () => {
    await measure();
  });
  if (profilesIn(directory).length === 0)
    writeFileSync(join(directory, 'bench.cpuprofile'), JSON.stringify(own));
  const paths = profilesIn(directory);
  const tree = mergeProfiles(paths.map((path) => JSON.parse(readFileSync(path, 'utf8')) as CpuProfile));
  const graph = join(directory, 'flame-graph.svg');
  writeFileSync(graph, flameGraph(tree, name));
  const total = totalTime(tree);
  const cells = topFunctions(tree, 10).map(({ name: place, self }) => [
    `${((100 * self) / total).toFixed(1)} %`,
    `${(self / 1_000).toFixed(1)} ms`,
    place,
  ]);
  return [
    ...paths.map((path) => relative(root, path)),
    renderTable([
      ['self', '', paths.length === 1 ? 'function' : `function, of all ${paths.length} profiles`],
      ...cells,
    ]),
    `flame graph: ${relative(root, graph)}`,
    'help: a browser shows the flame graph; Chrome DevTools (Performance, Load profile) and speedscope open a .cpuprofile',
  ].join('\n');
}

function profilesIn(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.cpuprofile'))
    .toSorted()
    .map((name) => join(directory, name));
}

/** Profiles this process while work is done. */
async function profiled(work: () => Promise<void>): Promise<object> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    await work();
    return (await session.post('Profiler.stop')).profile;
  } finally {
    session.disconnect();
  }
}
