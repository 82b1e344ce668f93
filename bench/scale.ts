import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { address, auditLog, containerRoot, inNamespaces } from './agent-namespaces.js';
import { makeRootfs } from './container.js';
import type { GoPrograms } from './go-programs.js';
import { agentCommand } from './node-command.js';
import { runForJson } from './program.js';
import type { Row } from './row.js';
import { type Figures, scaleRows, type ScaleMeasurement } from './scale-rows.js';

/** How much is measured without `quick`. */
export interface ScaleSize {
  /** Containers in turn. */
  readonly containers: number;
  /** Minutes of calls at a steady rate. */
  readonly minutes: number;
}

interface ScaleRequest {
  readonly go: GoPrograms;
  /** The agent. */
  readonly program: string;
  readonly quick: boolean;
  readonly size: ScaleSize;
}

/** The options of bench/go/src/bench-scale, with `quick` and without. */
const optionsOf: {
  readonly [M in ScaleMeasurement]: (size: ScaleSize) => {
    readonly quick: readonly string[];
    readonly whole: readonly string[];
  };
} = {
  containers: () => ({
    quick: ['-containers', '4', '-execs', '4', '-period', '1s'],
    whole: ['-containers', '64', '-execs', '32', '-period', '10s'],
  }),
  streams: () => ({
    quick: ['-streams', '50', '-bytes', String(256 << 10), '-period', '1s'],
    whole: ['-streams', '200', '-bytes', String(16 << 20), '-period', '10s'],
  }),
  lives: ({ containers }) => ({
    quick: ['-lives', '20', '-group', '5'],
    whole: ['-lives', String(containers), '-group', '100'],
  }),
  calls: ({ minutes }) => ({
    quick: ['-period', '1s', '-periods', '2'],
    whole: ['-period', '1m', '-periods', String(minutes)],
  }),
};

/**
 * Measures an agent with crun under one load, from the beginning of a sandbox to its end. State and audit log are in memory, as
 * /run of a guest, in namespaces of their own (bench/agent-namespaces.ts): nothing of the machine waits for it. Needs root.
 */
export async function measureScale(
  measurement: ScaleMeasurement,
  { go, program, quick, size }: ScaleRequest,
): Promise<Row[]> {
  const directory = mkdtempSync('/dev/shm/kata-bench-');
  try {
    const rootfs = makeRootfs(directory, ['yes', 'tail']);
    const bundle = join(directory, 'bundle');
    mkdirSync(bundle);
    const runtime = spawnSync('sh', ['-c', 'command -v crun'], { encoding: 'utf8' }).stdout.trim();
    const configuration = join(directory, 'config.toml');
    writeFileSync(configuration, configurationText(runtime), { mode: 0o600 });
    const cgroup = `kata-bench-${process.pid}`;
    const measured = ['-address', address, '-rootfs', containerRoot, '-cgroup', cgroup, '-log', auditLog];
    const plain = ['-runtime', runtime, '-state', stateDirectory, '-bundle', bundle];
    const options = optionsOf[measurement](size)[quick ? 'quick' : 'whole'];
    const agent = ['env', `KATA_AGENT_SERVER_ADDR=unix://${address}`, ...agentCommand(program)];
    const words = [go.scale, ...measured, ...plain, ...options, measurement, ...agent, '-c', configuration];
    const [command = '', ...args] = inNamespaces(directory, rootfs, words);
    return scaleRows(measurement, (await runForJson(command, args)) as Figures);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The agent's default, which is in memory here. */
const stateDirectory = '/run/kata-agent';

/** The methods of a pod, and a rule that denies a wait for one exec. */
function configurationText(runtime: string): string {
  return `[agent]
oci_runtime = ${JSON.stringify(runtime)}
# The requests have no masked paths: plain crun has none either.
privileged_containers = "allow"
[api]
release = "4.1"
allowed_endpoints = ["@pod", "@stdio", "@stats", "@exec"]
[[api.rule]]
name = "waits"
endpoints = ["WaitProcess"]
expression = 'request.exec_id != "denied"'
message = "this process is not to be waited for"
[audit]
file = ${JSON.stringify(auditLog)}
`;
}
