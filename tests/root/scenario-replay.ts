import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AgentProcess } from '../harness/agent-process.js';
import { cgroupParent } from '../harness/container-request.js';
import { GuestComponentPrograms } from '../harness/guest-components.js';
import { pauseBundle } from '../harness/pause-bundle.js';
import { ctlProgram } from '../harness/repository.js';
import { BlankDisks } from './scenario-blank-disks.js';
import { pciBus } from './scenario-bus.js';
import { podGpus } from './scenario-gpus.js';
import { PodDisks } from './scenario-layers.js';
import { type ListedCall, makeImage, makeShare } from './scenario-share.js';

// Workloads of manifests on real agents, each with the configuration that is generated for it.

const preload = fileURLToPath(import.meta.resolve('@kata-agent/tool-command/virtiofs-bind'));

/** Failures that occur without a cluster: samples have no addresses, and an ended process gets no signal. */
export const sampleFailures: readonly RegExp[] = [
  /^(UpdateInterface|UpdateRoutes|AddARPNeighbors): INVALID_ARGUMENT/,
  /^SignalProcess: NOT_FOUND: .*ESRCH: No such process/,
];

/** A call that did not succeed. */
export interface Failed {
  readonly method: string;
  readonly because: string;
  readonly status: string;
  readonly serverMessage: string;
}

/** What `replay --format json` prints. */
export interface Outcome {
  readonly refused: readonly Failed[];
  readonly failed: readonly Failed[];
  readonly calls: readonly { readonly method: string; readonly status: string }[];
}

/** A runtime and its guest. */
export interface Setup {
  readonly runtime: 'go' | 'rs' | 'remote';
  readonly guest: 'shared-fs' | 'confidential';
  readonly snapshotter?: 'erofs';
  readonly emptyDirs?: 'shared-fs';
}

/** A workload of `config check --pod --format json`. */
export interface Checked {
  readonly name: string;
  readonly sufficient: boolean;
  readonly unbuilt: readonly { readonly kind: string; readonly name: string; readonly because: string }[];
}

/** One workload on an agent, and without one. */
export interface Replayed {
  readonly workload: string;
  readonly outcome: Outcome;
  readonly check: Checked;
}

/**
 * Replays every workload of a file, each on a new agent with its own configuration, and checks it without one.
 *
 * @param input the file and its images, as options of `config generate`.
 */
export async function replayAll(input: readonly string[], setup: Setup): Promise<readonly Replayed[]> {
  const { runtime, guest, snapshotter, emptyDirs } = setup;
  const pod = [...input, '--runtime', runtime, '--guest', guest]
    .concat(snapshotter === undefined ? [] : ['--snapshotter', snapshotter])
    .concat(emptyDirs === undefined ? [] : ['--emptydir-mode', emptyDirs]);
  // Its images have no digests, which `--puller built-in` demands. A host that brings layers pulls them.
  const pulls = guest === 'confidential' && snapshotter === undefined;
  const outcomes: Replayed[] = [];
  for (const { workload, made } of await generateAll(pod)) {
    const generated = pulls ? `${made}\n[image]\npuller = "cdh"\n` : made;
    // The test changes only the address, for which AgentProcess inserts its own.
    const config = generated.replace('[agent]\n', '[agent]\nserver_addr = "vsock://-1:1024"\n');
    const check = await checkWorkload(generated, pod, workload);
    outcomes.push({ workload, outcome: await replayWorkload(pod, workload, { config, setup }), check });
  }
  return outcomes;
}

interface AgentOfWorkload {
  readonly config: string;
  readonly setup: Setup;
  /** Commands for the guest, before those of the workload. */
  readonly guestSetup?: string;
}

/**
 * Replays a workload on a new agent, whose guest has what the workload needs.
 *
 * @param pod options of `config generate`
 */
export async function replayWorkload(
  pod: readonly string[],
  workload: string,
  { config, setup: { runtime, guest, snapshotter }, guestSetup = ':' }: AgentOfWorkload,
): Promise<Outcome> {
  // Runs use the same IDs, and concurrent runs on one machine share a cgroup hierarchy.
  const replay = ['replay', ...pod, '--cgroup-parent', `/${cgroupParent}`];
  const workloadArgs = [...replay, '--workload', workload];
  const list = await client(...workloadArgs, '--list', '--format', 'json');
  const share = mkdtempSync(join(tmpdir(), 'kata-agent-share-'));
  const calls = JSON.parse(list.stdout) as readonly ListedCall[];
  makeShare(share, calls);
  const files = mkdtempSync(join(tmpdir(), 'kata-agent-disks-'));
  const disks = snapshotter === undefined ? undefined : new PodDisks(files, share, calls);
  const blankDisks = new BlankDisks(files, calls);
  const components = guest === 'confidential' ? new GuestComponentPrograms() : undefined;
  if (components !== undefined) makeImage(join(components.directory, 'image'), calls);
  const gpus = podGpus(files, calls);
  const agent = await AgentProcess.start({
    config,
    setup: [
      guestSetup,
      pauseBundle(files, components),
      runtime === 'remote' ? 'ip netns add podns' : ':',
      gpus.setup,
      pciBus(files, new Map([...(disks?.files ?? []), ...blankDisks.files, ...gpus.files])),
    ].join(' && '),
    env: { SHARED_DIRECTORY: share, NODE_OPTIONS: `--import=${preload}` },
  });
  try {
    const address = ['-a', `unix://${agent.socketPath}`, '--format', 'json'];
    const { stdout, stderr } = await client(...workloadArgs, ...address);
    assert.notEqual(stdout, '', stderr);
    return JSON.parse(stdout) as Outcome;
  } finally {
    await agent.dispose();
    disks?.detach();
    blankDisks.detach();
    components?.dispose();
    for (const each of [share, files]) rmSync(each, { recursive: true });
  }
}

/** Returns the configuration that `config generate` makes for each workload. */
async function generateAll(
  pod: readonly string[],
): Promise<readonly { readonly workload: string; readonly made: string }[]> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-generate-'));
  try {
    const { stderr } = await client('config', 'generate', ...pod, '--allow-privileged', '--out', directory);
    assert.ok(existsSync(join(directory, 'index.json')), stderr);
    const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as {
      readonly configurations: readonly { readonly name: string; readonly file: string }[];
    };
    assert.notEqual(index.configurations.length, 0);
    return index.configurations.map(({ name, file }) => ({
      workload: name,
      made: readFileSync(join(directory, file), 'utf8'),
    }));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Returns what `config check` says of one workload of a file. */
async function checkWorkload(
  configuration: string,
  pod: readonly string[],
  workload: string,
): Promise<Checked> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-agent-check-'));
  try {
    const file = join(directory, 'config.toml');
    writeFileSync(file, configuration);
    const { stdout } = await client('config', 'check', file, ...pod, '--format', 'json');
    const { workloads } = JSON.parse(stdout) as { readonly workloads: readonly Checked[] };
    const check = workloads.find(({ name }) => name === workload);
    assert.ok(check);
    return check;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Runs `kata-agent-ctl`. */
export function client(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    const options = { maxBuffer: 64 << 20 };
    const child = execFile(process.execPath, [ctlProgram, ...args], options, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}
