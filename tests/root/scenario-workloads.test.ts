import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cgroupParent } from '../harness/container-request.js';
import { AgentProcess } from '../harness/agent-process.js';
import { GuestComponentPrograms } from '../harness/guest-components.js';
import { pauseBundle } from '../harness/pause-bundle.js';
import { ctlProgram, repository } from '../harness/repository.js';
import { whyNoContainers } from '../harness/rootfs.js';
import { BlankDisks } from './scenario-blank-disks.js';
import { pciBus } from './scenario-bus.js';
import { podGpus } from './scenario-gpus.js';
import { PodDisks } from './scenario-layers.js';
import { type ListedCall, makeImage, makeShare } from './scenario-share.js';

const directory = `${repository}examples/workloads/`;
const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'));
/** Copies of the image configurations without root hashes, which the layers here do not have. */
const configurations = mkdtempSync(join(tmpdir(), 'kata-agent-images-'));
after(() => rmSync(configurations, { recursive: true }));
for (const name of readdirSync(`${directory}images`)) {
  const { roothashes: _hashes, ...image } = JSON.parse(
    readFileSync(`${directory}images/${name}`, 'utf8'),
  ) as {
    readonly roothashes?: unknown;
  };
  writeFileSync(join(configurations, name), JSON.stringify(image));
}
const images = ['docker.io/library/nginx:1.27', 'docker.io/library/postgres:17']
  .concat('docker.io/library/redis:7.4', 'docker.io/library/busybox:1.37')
  .concat('docker.io/library/python:3.13', 'registry.example/server:1')
  .flatMap((image) => {
    const name = basename(image).split(':')[0] ?? '';
    return ['--image-config', `${image}=${configurations}/${name}.json`];
  });
const preload = fileURLToPath(import.meta.resolve('@kata-agent/tool-command/virtiofs-bind'));

interface Failed {
  readonly method: string;
  readonly because: string;
  readonly status: string;
  readonly serverMessage: string;
}

interface Outcome {
  readonly refused: readonly Failed[];
  readonly failed: readonly Failed[];
  readonly calls: readonly { readonly method: string; readonly status: string }[];
}

/** Failures that occur without a cluster: samples have no addresses, and an ended process gets no signal. */
const sampleFailures: readonly RegExp[] = [
  /^(UpdateInterface|UpdateRoutes|AddARPNeighbors): INVALID_ARGUMENT/,
  /^SignalProcess: NOT_FOUND: .*ESRCH: No such process/,
];

/** Failures that follow from a container that was refused: its execs have no container. */
const followingFailures: readonly RegExp[] = [
  /^ExecProcess: PERMISSION_DENIED: .*rule "exec-process-commands"/,
];

const noContainerFailure = /: INVALID_ARGUMENT: Invalid container id: there is no container/;

/** Returns the failures of containers on a test machine and the failures that follow from them. */
function machineFailures(file: string): readonly RegExp[] {
  switch (file) {
    case 'block-device.yaml':
      // The sample has no address of a disk.
      return [/^CreateContainer: (INVALID_ARGUMENT|FAILED_PRECONDITION|NOT_FOUND): /, noContainerFailure];
    case 'privileged.yaml':
      return hasAllCapabilities()
        ? []
        : [
            /^CreateContainer: .*(?:unable to apply caps|capset: Operation not permitted)/,
            noContainerFailure,
          ];
    default:
      return [];
  }
}

/** Reports whether this process has all capabilities of a privileged container: the first 41. */
function hasAllCapabilities(): boolean {
  const [, mask = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const all = (1n << 41n) - 1n;
  return (BigInt(`0x${mask}`) & all) === all;
}

/** Without a pause container later calls fail. */
const noPauseFailures = [/rule "create-container-order" refused it/];

const guests = {
  'shared-fs': 'runs on a shared file system',
  confidential: 'runs without a shared file system',
} as const;

interface Setup {
  readonly runtime: 'go' | 'rs' | 'remote';
  readonly guest: 'shared-fs' | 'confidential';
  readonly snapshotter?: 'erofs';
  readonly emptyDirs?: 'shared-fs';
}

const setups: readonly Setup[] = [
  ...(['go', 'rs'] as const).flatMap((runtime) =>
    (['shared-fs', 'confidential'] as const).map((guest) => ({ runtime, guest })),
  ),
  { runtime: 'remote', guest: 'confidential' },
  { runtime: 'rs', guest: 'shared-fs', snapshotter: 'erofs' },
  { runtime: 'rs', guest: 'confidential', snapshotter: 'erofs' },
  // As with its remote hypervisor.
  { runtime: 'rs', guest: 'confidential', emptyDirs: 'shared-fs' },
];

/** With WORKLOADS=all each workload runs in all setups; otherwise each runs in one of them. */
const cases = files.flatMap((file, index) =>
  setups
    .filter((_, position) => process.env['WORKLOADS'] === 'all' || position === index % setups.length)
    .map((setup) => ({ file, ...setup })),
);

describe('workloads on an agent with their generated configuration', {
  skip: whyNoContainers('iproute2', 'erofs-utils', 'e2fsprogs', 'fdisk', 'util-linux') ?? false,
}, () => {
  for (const { file, ...setup } of cases) {
    const { runtime, guest, snapshotter, emptyDirs } = setup;
    const mode = emptyDirs === undefined ? '' : ` and emptydir_mode ${emptyDirs}`;
    const layers = `${snapshotter === undefined ? '' : ' from EROFS layers'}${mode}`;
    it(`${file} with the runtime ${runtime} ${guests[guest]}${layers}, or is refused as config check says`, async () => {
      for (const { outcome, check } of await replayAll(file, setup)) {
        const { refused, failed, calls } = outcome;
        const byName = refused.filter(({ status }) => status === 'UNIMPLEMENTED');
        const rest = refused.filter((each) => !byName.includes(each));
        const announced = refusedByCheck(check);
        // After the refusal of the pause container the order of a pod's containers refuses the others.
        assert.deepEqual(byName.map(refusedByAgent), announced.slice(0, byName.length));
        assert.equal(byName.length > 0, announced.length > 0);
        assert.equal(check.sufficient, check.unbuilt.length === 0);
        const runs = announced.length === 0;
        const following = runs ? [] : [...followingFailures, ...noPauseFailures];
        assert.deepEqual(unexpectedFailures(rest, following), []);
        if (!runs) continue;
        assert.deepEqual(unexpectedFailures(failed, [...sampleFailures, ...machineFailures(file)]), []);
        assert.ok(calls.length > 10);
      }
    });
  }
});

/** Returns the container that the agent refused by name, by its pod field, and the feature that it named. */
function refusedByAgent({ method, because, serverMessage }: Failed): string {
  const [, name = serverMessage] =
    /(?:storage driver|devices of type) (\S+) (?:is|are) not supported/.exec(serverMessage) ??
    /(\S+) is not supported/.exec(serverMessage) ??
    [];
  return `${method} ${because}: ${name}`;
}

/**
 * The same from `config check`: the agent reports one feature of a container, the first. It sees nothing of a pod field that
 * the runtimes refuse, or whose requests are not known.
 */
function refusedByCheck({ unbuilt }: Checked): readonly string[] {
  const first = new Map<string, string>();
  for (const { kind, because, name } of unbuilt)
    if (kind !== 'pod field' && !first.has(because)) first.set(because, name);
  return [...first].map(([because, name]) => `CreateContainer ${because}: ${name}`);
}

function unexpectedFailures(failures: readonly Failed[], expected: readonly RegExp[]): readonly string[] {
  return failures
    .map(({ method, status, serverMessage }) => `${method}: ${status}: ${serverMessage}`)
    .filter((text) => !expected.some((pattern) => pattern.test(text)));
}

/** A workload of `config check --pod --format json`. */
interface Checked {
  readonly name: string;
  readonly sufficient: boolean;
  readonly unbuilt: readonly { readonly kind: string; readonly name: string; readonly because: string }[];
}

/** Replays every workload of a file, each on a new agent with its own configuration, and checks it without one. */
async function replayAll(
  file: string,
  { runtime, guest, snapshotter, emptyDirs }: Setup,
): Promise<readonly { readonly outcome: Outcome; readonly check: Checked }[]> {
  const pod = ['--pod', directory + file, ...images, '--runtime', runtime, '--guest', guest]
    .concat(snapshotter === undefined ? [] : ['--snapshotter', snapshotter])
    .concat(emptyDirs === undefined ? [] : ['--emptydir-mode', emptyDirs]);
  // Its images have no digests, which `--puller built-in` demands. A host that brings layers pulls them.
  const pulls = guest === 'confidential' && snapshotter === undefined;
  const outcomes: { outcome: Outcome; check: Checked }[] = [];
  for (const { workload, made } of await generateAll(pod)) {
    const generated = pulls ? `${made}\n[image]\npuller = "cdh"\n` : made;
    // The test changes only the address, for which AgentProcess inserts its own.
    const config = generated.replace('[agent]\n', '[agent]\nserver_addr = "vsock://-1:1024"\n');
    const check = await checkWorkload(generated, pod, workload);
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
      outcomes.push({ outcome: JSON.parse(stdout) as Outcome, check });
    } finally {
      await agent.dispose();
      disks?.detach();
      blankDisks.detach();
      components?.dispose();
      for (const each of [share, files]) rmSync(each, { recursive: true });
    }
  }
  return outcomes;
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

function client(...args: readonly string[]): Promise<{ readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    const options = { maxBuffer: 64 << 20 };
    execFile(process.execPath, [ctlProgram, ...args], options, (_error, stdout, stderr) => {
      resolve({ stdout, stderr });
    });
  });
}
