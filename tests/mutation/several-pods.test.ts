import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clone } from '@bufbuild/protobuf';
import { SandboxView } from '@kata-agent/analysis';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { type ExpectedCall, expectedCalls, readWorkloads, type RuntimeSetup } from '@kata-agent/workloads';
import { loadedConfiguration } from '../harness/loaded-configuration.js';
import { authorizerWith, generatedFor, images, setups } from './expected-requests.js';

// One configuration for several pods: the containers and volumes of each stay those of one sandbox (S38).

const pod = (name: string, volume: string, containers: Readonly<Record<string, string>>): string =>
  [
    'kind: Pod',
    `metadata: { name: ${name} }`,
    'spec:',
    '  containers:',
    ...Object.entries(containers).map(
      ([container, path]) =>
        `    - { name: ${container}, image: docker.io/library/busybox:1.37, command: [${container}], volumeMounts: [{ name: ${volume}, mountPath: ${path} }] }`,
    ),
    `  volumes: [{ name: ${volume}, emptyDir: {} }]`,
  ].join('\n');

interface Decided {
  /** Of the last call. */
  readonly outcome: string;
  readonly rule: string | undefined;
}

/**
 * Creates a container of the second pod, then one of the first in its sandbox, with the volume of the former. Without paths: as
 * it is.
 */
async function merged(
  pods: readonly string[],
  setup: RuntimeSetup,
  [stranger, path]: readonly [container: string, path?: string],
  [victim, theirs]: readonly [container: string, theirs?: string],
): Promise<Decided> {
  const workloads = readWorkloads([{ file: 'pods.yaml', text: pods.join('\n---\n') }]);
  const configuration = await loadedConfiguration(generatedFor(workloads, setup, images));
  const authorizer = authorizerWith(configuration);
  const [first = [], second = []] = workloads.map((workload) => expectedCalls(workload, setup, images));
  const view = new SandboxView(authorizer.listeners);
  const decide = ({ method, request }: Pick<ExpectedCall, 'method' | 'request'>): Decided => {
    const { outcome, rule } = authorizer.decide(method, request, view.context({ method, request }));
    return { outcome, rule };
  };
  const isBefore = ({ method, container = '' }: ExpectedCall): boolean =>
    method === 'CreateSandbox' ||
    (['CreateContainer', 'StartContainer'].includes(method) && (container === '' || container === victim));
  for (const call of second.filter(isBefore)) {
    assert.equal(decide(call).outcome, 'allow', `${call.method} ${call.container ?? ''}`);
    view.happened(call);
  }
  const [own, other] = [created(first, stranger), created(second, victim)];
  const request = clone(CreateContainerRequestSchema, own);
  if (path !== undefined && theirs !== undefined) {
    const mount = request.OCI?.Mounts.find(({ destination }) => destination === path);
    const source = other.OCI?.Mounts.find(({ destination }) => destination === theirs)?.source;
    assert.ok(mount !== undefined && source !== undefined);
    const storage = other.storages.find(({ mountPoint }) => mountPoint === source);
    request.storages = request.storages.map((each) =>
      each.mountPoint === mount.source && storage !== undefined ? storage : each,
    );
    mount.source = source;
  }
  const sandbox = 'io.kubernetes.cri.sandbox-id';
  if (request.OCI !== undefined) request.OCI.Annotations[sandbox] = other.OCI?.Annotations[sandbox] ?? '';
  return decide({ method: 'CreateContainer', request });
}

function created(calls: readonly ExpectedCall[], name: string): ReturnType<typeof asCreate> {
  const call = calls.find(({ method, container }) => method === 'CreateContainer' && container === name);
  assert.ok(call !== undefined);
  return asCreate(call);
}

function asCreate({ request }: ExpectedCall) {
  return clone(CreateContainerRequestSchema, request as never);
}

/** Without volumes: samples of two pods could have one disk. */
const plain = (name: string, container: string): string =>
  [
    'kind: Pod',
    `metadata: { name: ${name} }`,
    `spec: { containers: [{ name: ${container}, image: docker.io/library/busybox:1.37, command: [${container}] }] }`,
  ].join('\n');

const site = pod('site', 'data', { web: '/html' });
const keys = pod('keys', 'data', { vault: '/keys', log: '/log' });

for (const setup of setups.filter(({ verifiedLayers }) => verifiedLayers === undefined)) {
  const named = Object.values(setup).join(' ');
  test(`a container of another pod does not get the volume of one: ${named}`, async () => {
    const decided = await merged([site, keys], setup, ['web', '/html'], ['vault', '/keys']);
    assert.equal(decided.outcome, 'deny');
  });

  test(`a sandbox has the containers of one pod: ${named}`, async () => {
    const decided = await merged([plain('site', 'web'), plain('keys', 'vault')], setup, ['web'], ['vault']);
    assert.deepEqual(decided, { outcome: 'deny', rule: 'create-container-single-pod' });
  });

  test(`volumes of two pods with one name are two, also if containers have one name: ${named}`, async () => {
    // `web` is in both pods, so that either is a container of the sandbox.
    const both = pod('both', 'data', { vault: '/keys', web: '/other' });
    const decided = await merged([site, both], setup, ['web', '/html'], ['vault', '/keys']);
    assert.equal(decided.outcome, 'deny', decided.rule);
  });
}
