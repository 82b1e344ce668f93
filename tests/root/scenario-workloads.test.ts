import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cgroupParent } from '../harness/container-request.js';
import { AgentProcess } from '../harness/agent-process.js';
import { clientProgram, repository } from '../harness/repository.js';
import { whyNoContainers } from '../harness/rootfs.js';
import { type ListedCall, makeShare } from './scenario-share.js';

const folder = `${repository}examples/workloads/`;
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
const images = ['docker.io/library/nginx:1.27', 'docker.io/library/postgres:17']
  .concat('docker.io/library/redis:7.4', 'docker.io/library/busybox:1.37')
  .concat('docker.io/library/python:3.13', 'registry.example/server:1')
  .flatMap((image) => {
    const name = basename(image).split(':')[0] ?? '';
    return ['--image-config', `${image}=${folder}images/${name}.json`];
  });
const standIn = fileURLToPath(new URL('./scenario-virtiofs.js', import.meta.url));

interface Failed {
  readonly method: string;
  readonly because: string;
  readonly status: string;
  readonly said: string;
}

interface Outcome {
  readonly refused: readonly Failed[];
  readonly failed: readonly Failed[];
  readonly calls: readonly { readonly method: string; readonly status: string }[];
}

/** Without a cluster: the samples have no addresses, and who has ended needs no signal. */
const ofSamples: readonly RegExp[] = [
  /^(UpdateInterface|UpdateRoutes|AddARPNeighbors): INVALID_ARGUMENT/,
  /^SignalProcess: NOT_FOUND: .*ESRCH: No such process/,
];

/** Images pulled in the guest and encrypted disks; and nothing is executed in a container that was not made. */
const notBuilt: readonly RegExp[] = [
  /^CreateContainer: UNIMPLEMENTED: .*(image_guest_pull|encryption_key=ephemeral)/,
  /^ExecProcess: PERMISSION_DENIED: .*rule "exec-process-commands"/,
];

const withoutContainer = /: INVALID_ARGUMENT: Invalid container id: there is no container/;

/** What the machine of the test cannot give to a container, and what follows from that. */
function ofThisMachine(file: string): readonly RegExp[] {
  switch (file) {
    case 'block-device.yaml':
      // A sample has no address of a disk.
      return [/^CreateContainer: (INVALID_ARGUMENT|FAILED_PRECONDITION|NOT_FOUND): /, withoutContainer];
    case 'privileged.yaml':
      return hasAllCapabilities() ? [] : [/^CreateContainer: .* unable to apply caps/, withoutContainer];
    default:
      return [];
  }
}

/** Whether we could give away all that a privileged container gets: the first 41 capabilities. */
function hasAllCapabilities(): boolean {
  const [, mask = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const all = (1n << 41n) - 1n;
  return (BigInt(`0x${mask}`) & all) === all;
}

/** Images are not pulled in the guest yet, so there is no pause container, and what comes after it is refused. */
const withoutPause = [/rule "create-container-order" refused it/];

const guests = {
  'shared-fs': 'with a shared file system: nothing is refused, and it runs',
  confidential: 'in a confidential guest: nothing is refused but what is not built',
} as const;
const setUps = (['go', 'rs'] as const).flatMap((runtime) =>
  (['shared-fs', 'confidential'] as const).map((guest) => ({ runtime, guest })),
);

/** With WORKLOADS=all each workload comes in all four set-ups; else in one, and every set-up has its share of them. */
const cases = files.flatMap((file, index) =>
  setUps
    .filter((_, setUp) => process.env['WORKLOADS'] === 'all' || setUp === index % setUps.length)
    .map((setUp) => ({ file, ...setUp })),
);

describe('each workload, on an agent with the configuration that is generated for it', {
  skip: whyNoContainers() ?? false,
}, () => {
  for (const { file, runtime, guest } of cases) {
    it(`${file}, ${runtime}, ${guests[guest]}`, async () => {
      for (const { refused, failed, calls } of await replayed(file, runtime, guest)) {
        assert.deepEqual(
          unexpected(refused, guest === 'confidential' ? [...notBuilt, ...withoutPause] : []),
          [],
        );
        if (guest === 'confidential') continue;
        assert.deepEqual(unexpected(failed, [...ofSamples, ...ofThisMachine(file)]), []);
        assert.ok(calls.length > 10);
      }
    });
  }
});

function unexpected(failures: readonly Failed[], expected: readonly RegExp[]): readonly string[] {
  return failures
    .map(({ method, status, said }) => `${method}: ${status}: ${said}`)
    .filter((text) => !expected.some((pattern) => pattern.test(text)));
}

/** Every workload of a file, each on an agent of its own. */
async function replayed(
  file: string,
  runtime: 'go' | 'rs',
  guest: 'shared-fs' | 'confidential',
): Promise<readonly Outcome[]> {
  const pod = ['--pod', folder + file, ...images, '--runtime', runtime, '--guest', guest];
  const generated = (await client('config', 'generate', ...pod)).stdout;
  // Its address is the one thing that a test has to change; AgentProcess puts its own here.
  const config = generated.replace('[agent]\n', '[agent]\nserver_addr = "vsock://-1:1024"\n');
  const outcomes: Outcome[] = [];
  for (const workload of await workloadsOf(pod)) {
    // The same ids come up in each run, and runs beside each other on one machine have one hierarchy of cgroups.
    const replay = ['replay', ...pod, '--cgroup-parent', `/${cgroupParent}`];
    const one = [...replay, ...(workload === undefined ? [] : ['--workload', workload])];
    const list = await client(...one, '--list', '--format', 'json');
    const share = mkdtempSync(join(tmpdir(), 'kata-agent-share-'));
    makeShare(share, JSON.parse(list.stdout) as readonly ListedCall[]);
    const agent = await AgentProcess.start({
      config,
      env: { SHARED_FOLDER: share, NODE_OPTIONS: `--import=${standIn}` },
    });
    try {
      const address = ['-a', `unix://${agent.socketPath}`, '--format', 'json'];
      const { stdout, stderr } = await client(...one, ...address);
      assert.notEqual(stdout, '', stderr);
      outcomes.push(JSON.parse(stdout) as Outcome);
    } finally {
      await agent.dispose();
      rmSync(share, { recursive: true });
    }
  }
  return outcomes;
}

/** Their names; of a file with one, undefined. */
async function workloadsOf(pod: readonly string[]): Promise<readonly (string | undefined)[]> {
  const { stderr } = await client('replay', ...pod, '--list');
  const names = /--workload NAME, one of (.*)/.exec(stderr)?.[1];
  return names === undefined ? [undefined] : names.split(', ');
}

function client(...args: readonly string[]): Promise<{ readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    const options = { maxBuffer: 64 << 20 };
    execFile(process.execPath, [clientProgram, ...args], options, (_error, stdout, stderr) => {
      resolve({ stdout, stderr });
    });
  });
}
