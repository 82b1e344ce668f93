import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { repository } from '../harness/repository.js';
import { whyNoContainers } from '../harness/rootfs.js';
import { type Checked, type Failed, replayAll, sampleFailures, type Setup } from './scenario-replay.js';

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
      for (const { outcome, check } of await replayAll(['--pod', directory + file, ...images], setup)) {
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
