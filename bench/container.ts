import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { withPureCgroups } from '@kata-agent/setup/pure-cgroups';

import { startAgent } from './agent-program.js';
import type { GoPrograms } from './go-programs.js';
import { median } from './median.js';
import { runForJson } from './program.js';
import type { Row } from './row.js';

/** The OCI runtimes, with the goal for the start: ours beside theirs. */
const runtimes = [{ name: 'runc', goal: { max: 1.15 } }, { name: 'crun' }] as const;
type RuntimeName = (typeof runtimes)[number]['name'];

/** Milliseconds of each step, by its name. */
type Times = Readonly<Record<'start' | 'exec' | 'remove' | 'whole', number[]>>;

/** The steps of the report. */
const steps = [
  ['start', 'create and start of a container'],
  ['exec', 'exec in a container'],
  ['remove', 'removal of a container'],
  ['whole', 'create, start, exec and removal of a container'],
] as const;

interface ContainerRequest {
  readonly go: GoPrograms;
  /** The agent. */
  readonly program: string;
  readonly quick: boolean;
  /** Undefined: all of them. */
  readonly runtime?: RuntimeName;
}

/**
 * Measures create and start of a container, an exec, the removal, and all of it: through the agent, and by the plain
 * runtime with the same config.json; with runc and with crun, both without hybrid cgroups. Needs root.
 */
export async function measureContainers(request: ContainerRequest): Promise<Row[]> {
  const rows: Row[] = [];
  for (const runtime of runtimes) {
    if (request.runtime !== undefined && request.runtime !== runtime.name) continue;
    const { agent, plain } = await measureRuntime(runtime.name, request);
    for (const [step, what] of steps)
      rows.push({
        what: `${what}, ${runtime.name}`,
        unit: 'ms',
        ours: median(agent[step]),
        against: { name: `plain ${runtime.name}`, value: median(plain[step]) },
        ...(step === 'start' && 'goal' in runtime ? { goal: runtime.goal } : {}),
      });
  }
  return rows;
}

async function measureRuntime(
  name: RuntimeName,
  { go, program, quick }: ContainerRequest,
): Promise<{ readonly agent: Times; readonly plain: Times }> {
  // In memory, as /run of a guest: for the state of the agent and of the runtime, and for the audit log.
  const directory = mkdtempSync('/dev/shm/kata-bench-');
  try {
    const rootfs = makeRootfs(directory);
    const bundle = join(directory, 'bundle');
    mkdirSync(bundle);
    const address = join(directory, 'agent');
    const runtime = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
    const agent = await startAgent(program, directory, address, runtime);
    const words = [go.container, '-address', address, '-runtime', runtime, '-rootfs', rootfs];
    const [command = '', ...args] = withPureCgroups([...words, '-bundle', bundle, '-n', quick ? '5' : '20']);
    try {
      return (await runForJson(command, args)) as { agent: Times; plain: Times };
    } finally {
      await agent.stop();
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Creates a root file system with `sleep` and more commands of busybox. Throws if busybox is missing. */
export function makeRootfs(directory: string, commands: readonly string[] = []): string {
  const busybox = spawnSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).stdout.trim();
  if (busybox === '') throw new Error('busybox is missing (Debian: apt-get install busybox-static)');
  const rootfs = join(directory, 'rootfs');
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp']) mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync(busybox, join(rootfs, 'bin', 'busybox'));
  for (const name of ['sleep', ...commands]) symlinkSync('busybox', join(rootfs, 'bin', name));
  return rootfs;
}
