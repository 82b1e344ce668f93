import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMessage } from '@bufbuild/protobuf';
import { runtimeCalls } from '@kata-agent/catalogue';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import { type ImageConfigs, parseImageConfig } from '../pod/container-image.js';
import { readWorkloads } from '../pod/read-workloads.js';
import type { ExpectedCall } from './expected-call.js';
import { expectedCalls } from './expected-calls.js';
import type { RuntimeSetup } from './runtime-setup.js';

const go: RuntimeSetup = { runtime: 'go', guest: 'shared-fs' };
const rs: RuntimeSetup = { runtime: 'rs', guest: 'shared-fs' };
const images: ImageConfigs = new Map([
  ['i', parseImageConfig('{"config":{"Entrypoint":["/run"],"Cmd":["it"],"Env":["A=1"],"User":"7:8"}}')],
]);

function callsOf(container: string, setup: RuntimeSetup = go, pod = ''): readonly ExpectedCall[] {
  const text = `kind: Pod\nmetadata: { name: p }\nspec:\n  containers:\n    - { name: c, image: i${container} }\n${pod}`;
  return readWorkloads([{ file: 'pod.yaml', text }]).flatMap((workload) =>
    expectedCalls(workload, setup, images),
  );
}

function methods(calls: readonly ExpectedCall[]): readonly string[] {
  return calls.map(({ method }) => method);
}

/** Of the pod's container, not of the pause container. */
function created(calls: readonly ExpectedCall[]): CreateContainerRequest {
  const request = calls.filter(({ method }) => method === 'CreateContainer')[1]?.request;
  assert.ok(request !== undefined && isMessage(request, CreateContainerRequestSchema));
  return request;
}

test('a minimal pod causes every unconditional call of the table except reads, in order', () => {
  for (const setup of [go, rs]) {
    const made = methods(callsOf('', setup));
    const wanted = runtimeCalls[setup.runtime]
      .filter(({ condition, method }) => condition === undefined && !method.startsWith('Read'))
      .map(({ method }) => method);
    assert.deepEqual(new Set(made.filter((method) => method !== 'AddARPNeighbors')), new Set(wanted));
    assert.ok(made.indexOf('UpdateInterface') < made.indexOf('CreateSandbox'));
    assert.ok(made.indexOf('CreateSandbox') < made.indexOf('CreateContainer'));
    assert.ok(made.lastIndexOf('CreateContainer') < made.indexOf('RemoveContainer'));
  }
});

test('the two runtimes differ as in their sources', () => {
  const probe = ', livenessProbe: { exec: { command: [check] } }';
  assert.ok(methods(callsOf('', go)).includes('DestroySandbox'));
  assert.ok(!methods(callsOf('', rs)).includes('DestroySandbox'));
  const strict = `${probe}, securityContext: { allowPrivilegeEscalation: false }`;
  const execOf = (setup: RuntimeSetup) => {
    const request = callsOf(strict, setup).find(({ method }) => method === 'ExecProcess')?.request;
    assert.ok(request !== undefined && isMessage(request, ExecProcessRequestSchema));
    return request.process;
  };
  assert.deepEqual(execOf(go)?.Args, ['check']);
  assert.deepEqual(execOf(go)?.Capabilities, execOf(rs)?.Capabilities);
  for (const setup of [go, rs]) assert.equal(execOf(setup)?.NoNewPrivileges, true);
  assert.equal(execOf(rs)?.Capabilities?.Bounding.length, 14);
  assert.equal(created(callsOf('', go)).execId.length, 64);
  assert.equal(created(callsOf('', rs)).execId, '');
});

test('command and args replace those of the image, as in Kubernetes', () => {
  const args = (container: string): readonly string[] => created(callsOf(container)).OCI?.Process?.Args ?? [];
  assert.deepEqual(args(''), ['/run', 'it']);
  assert.deepEqual(args(', args: [now]'), ['/run', 'now']);
  assert.deepEqual(args(', command: [/other]'), ['/other']);
  assert.deepEqual(args(', command: [/other], args: [now]'), ['/other', 'now']);
});

test('references to variables are expanded; a reference to an unknown value is unknown', () => {
  const env =
    ', env: [{ name: P, value: "80" }, { name: S, valueFrom: { secretKeyRef: { name: s, key: k } } }]';
  const known = callsOf(`${env}, args: ["$(P)", "$$(P)", "$(A)", "$(NOBODY)"]`);
  // The kubelet does not know the variables of the image.
  assert.deepEqual(created(known).OCI?.Process?.Args, ['/run', '80', '$(P)', '$(A)', '$(NOBODY)']);
  const unknown = callsOf(`${env}, args: ["a$(S)b"]`).filter(({ method }) => method === 'CreateContainer')[1];
  assert.match(unknown?.unknown.get('command') ?? '', /a word has the value of a variable/);
  assert.deepEqual(unknown?.words, ['"/run"', '"a" + env["S"] + "b"']);
  assert.deepEqual(
    unknown?.open.find(({ fact }) => fact === 'commandLine'),
    {
      fact: 'commandLine',
      field: 'args[0]',
      why: '$(S) from Secret s, key k',
    },
  );
});

test('references in the command of a probe are expanded to values of the pod alone, and none in a hook', () => {
  const env =
    'env: [{ name: P, value: "8$(X)" }, { name: S, valueFrom: { secretKeyRef: { name: s, key: k } } }]';
  const argv = '{ exec: { command: [get, "$(P)", "[$(S)]", "$(A)", "$$(P)", ""] } }';
  const pod = `, ${env}, livenessProbe: ${argv}, lifecycle: { preStop: ${argv} }`;
  const args = callsOf(pod).flatMap(({ request }) =>
    isMessage(request, ExecProcessRequestSchema) ? [request.process?.Args] : [],
  );
  assert.deepEqual(args, [
    ['get', '8$(X)', '[]', '$(A)', '$(P)', ''],
    ['get', '$(P)', '[$(S)]', '$(A)', '$$(P)', ''],
  ]);
});

test('without an image configuration nothing is guessed', () => {
  const text = 'kind: Pod\nspec: { containers: [{ name: c, image: other }] }\n';
  const [workload] = readWorkloads([{ file: 'pod.yaml', text }]);
  assert.ok(workload !== undefined);
  const call = expectedCalls(workload, go).filter(({ method }) => method === 'CreateContainer')[1];
  assert.deepEqual([...(call?.unknown.keys() ?? [])].sort(), [
    'command',
    'commandLine',
    'cwd',
    'environment',
    'groups',
    'signal',
    'user',
    'variables',
  ]);
});

test('a user without a group, and a user by name, come from the image', () => {
  const user = (container: string): string | undefined =>
    callsOf(container)
      .filter(({ method }) => method === 'CreateContainer')[1]
      ?.unknown.get('user');
  assert.equal(user(''), undefined);
  assert.equal(user(', securityContext: { runAsUser: 5, runAsGroup: 6 }'), undefined);
  assert.match(user(', securityContext: { runAsUser: 5 }') ?? '', /runAsUser without runAsGroup/);
});

test('capabilities are the engine’s, minus dropped, plus added; privileged containers have all', () => {
  const names = (context: string): readonly string[] =>
    created(callsOf(`, securityContext: ${context}`)).OCI?.Process?.Capabilities?.Bounding ?? [];
  assert.equal(names('{}').length, 14);
  assert.deepEqual(names('{ capabilities: { drop: [ALL], add: [NET_ADMIN, CAP_KILL] } }'), [
    'CAP_NET_ADMIN',
    'CAP_KILL',
  ]);
  assert.ok(!names('{ capabilities: { drop: [net_raw] } }').includes('CAP_NET_RAW'));
  assert.equal(names('{ privileged: true }').length, 41);
  assert.equal(names('{ capabilities: { add: [ALL] } }').length, 41);
});

test('with a shared file system only the Go runtime creates an emptyDir on disk in the guest', () => {
  const mount = ', volumeMounts: [{ name: v, mountPath: /v }]';
  const pod = '  volumes: [{ name: v, emptyDir: {} }]\n  securityContext: { fsGroup: 7 }\n';
  const ofGo = callsOf(mount, go, pod);
  const { OCI, storages } = created(ofGo);
  const volume = OCI?.Mounts.find(({ destination }) => destination === '/v');
  assert.deepEqual([volume?.type, volume?.options], ['local', ['rbind', 'rprivate', 'rw']]);
  const local = storages.find(({ driver }) => driver === 'local');
  assert.equal(local?.mountPoint, volume?.source);
  assert.deepEqual([local?.source, local?.fstype, local?.options], ['local', 'local', ['mode=0777']]);
  const sandbox = ofGo.find(({ method }) => method === 'CreateSandbox')?.request;
  assert.ok(sandbox !== undefined && isMessage(sandbox, CreateSandboxRequestSchema));
  const directory = '/run/kata-containers/shared/containers';
  assert.equal(volume?.source, `${directory}/${sandbox.sandboxId}/rootfs/local/v`);
  const ofRs = created(callsOf(mount, rs, pod)).OCI?.Mounts.find(({ destination }) => destination === '/v');
  assert.equal(ofRs?.type, 'bind');
  assert.match(ofRs.source, /\/passthrough\/sandbox-[0-9a-f]{8}-v$/);
});

test('emptydir_mode decides where an emptyDir on disk is, as recorded with runtime-rs', () => {
  const mount = ', volumeMounts: [{ name: v, mountPath: /v }]';
  const pod = '  volumes: [{ name: v, emptyDir: {} }]\n  securityContext: { fsGroup: 7 }\n';
  const volumeOf = (emptyDirs: NonNullable<RuntimeSetup['emptyDirs']>) => {
    const calls = callsOf(mount, { runtime: 'rs', guest: 'confidential', emptyDirs }, pod);
    const { OCI, storages } = created(calls);
    const storage = storages.find(({ driver }) => driver !== 'image_guest_pull');
    const sandbox = calls.find(({ method }) => method === 'CreateSandbox')?.request;
    assert.ok(sandbox !== undefined && isMessage(sandbox, CreateSandboxRequestSchema));
    const volume = OCI?.Mounts.find(({ destination }) => destination === '/v');
    assert.equal(volume?.source, storage?.mountPoint);
    const { type = '', source = '' } = volume ?? {};
    const { driver = '', driverOptions = [], options = [] } = storage ?? {};
    return { type, source: source.replace(sandbox.sandboxId, 'SANDBOX'), driver, driverOptions, options };
  };
  assert.deepEqual(volumeOf('shared-fs'), {
    type: 'local',
    source: '/run/kata-containers/shared/containers/passthrough/SANDBOX/rootfs/local/v',
    driver: 'local',
    driverOptions: [],
    options: ['mode=0777'],
  });
  const disk = { type: 'bind', driver: 'blk', source: '/run/kata-containers/sandbox/storage/MDAvMDA' };
  assert.deepEqual(volumeOf('block-plain'), { ...disk, driverOptions: ['create_filesystem'], options: [] });
  assert.deepEqual(volumeOf('block-encrypted'), {
    ...disk,
    driverOptions: ['encryption_key=ephemeral', 'create_filesystem'],
    options: [],
  });
});

test('a part of a volume is shared as a file of the host, whatever the volume', () => {
  const volumes = [
    'emptyDir: { medium: Memory }',
    'emptyDir: {}',
    'configMap: { name: m }',
    'persistentVolumeClaim: { claimName: p }',
  ];
  for (const volume of volumes)
    for (const part of ['subPath: x', 'subPathExpr: $(X)']) {
      const mounts = `, volumeMounts: [{ name: v, mountPath: /part, ${part} }]`;
      const request = created(callsOf(mounts, go, `  volumes: [{ name: v, ${volume} }]\n`));
      const mount = request.OCI?.Mounts.find(({ destination }) => destination === '/part');
      assert.equal(mount?.type, 'bind', volume);
      assert.match(
        mount.source,
        /^\/run\/kata-containers\/shared\/containers\/[0-9a-f]{64}-[0-9a-f]{16}-part$/,
      );
      assert.deepEqual(request.storages, []);
    }
});

test('the guest copies configMap and secret volumes, and shares projected and downwardAPI volumes', () => {
  const sources = {
    configMap: '{ name: m }',
    secret: '{ secretName: s }',
    projected: '{ sources: [] }',
    downwardAPI: '{ items: [] }',
  };
  for (const runtime of ['go', 'rs'] as const)
    for (const [kind, source] of Object.entries(sources)) {
      const mounts = ', volumeMounts: [{ name: v, mountPath: /files }]';
      const setup = { ...go, runtime };
      const request = created(callsOf(mounts, setup, `  volumes: [{ name: v, ${kind}: ${source} }]\n`));
      const mount = request.OCI?.Mounts.find(({ destination }) => destination === '/files');
      const isCopied = kind === 'configMap' || kind === 'secret';
      assert.equal(mount?.source.includes('/watchable/'), isCopied, kind);
      assert.ok(mount.options.includes('ro'));
      // The token of the service account is a projected volume.
      assert.deepEqual(
        request.storages.map(({ driver }) => driver),
        isCopied ? ['watchable-bind'] : [],
      );
    }
});

test('a pod without the users of the node has a user namespace', () => {
  const types = (pod: string): readonly string[] =>
    created(callsOf('', go, pod)).OCI?.Linux?.Namespaces.map(({ Type }) => Type) ?? [];
  assert.ok(types('  hostUsers: false\n').includes('user'));
  assert.ok(!types('').includes('user'));
});

test('a confidential guest gets files and images, and no shared filesystem', () => {
  const calls = callsOf('', { runtime: 'go', guest: 'confidential' });
  assert.ok(methods(calls).indexOf('CopyFile') < methods(calls).indexOf('CreateContainer'));
  assert.deepEqual(
    created(calls).storages.map(({ driver }) => driver),
    ['image_guest_pull'],
  );
  // The runtimes send the annotations again, as metadata of the pull.
  for (const call of calls) {
    if (!isMessage(call.request, CreateContainerRequestSchema)) continue;
    const [option = ''] = call.request.storages[0]?.driverOptions ?? [];
    assert.ok(option.startsWith('image_guest_pull='));
    const { metadata } = JSON.parse(option.slice('image_guest_pull='.length)) as { metadata: object };
    assert.deepEqual(metadata, { ...call.request.OCI?.Annotations });
  }
  const sandbox = calls.find(({ method }) => method === 'CreateSandbox')?.request;
  assert.ok(sandbox !== undefined && isMessage(sandbox, CreateSandboxRequestSchema));
  assert.deepEqual(
    sandbox.storages.map(({ driver }) => driver),
    ['ephemeral'],
  );
  assert.ok(methods(calls).includes('GetDiagnosticData'));
});

test('the PID namespace of the node is that of the pod', () => {
  assert.equal(created(callsOf('', go, '  hostPID: true\n')).sandboxPidns, true);
});

test('a shared PID namespace is set in the sandbox and its containers', () => {
  assert.equal(created(callsOf('', go, '  shareProcessNamespace: true\n')).sandboxPidns, true);
  assert.equal(created(callsOf('')).sandboxPidns, false);
});

test('standard input and terminals cause their calls, and reads for kubectl attach', () => {
  const plain = new Set(methods(callsOf('')));
  const more = new Set(methods(callsOf(', stdin: true, tty: true')).filter((method) => !plain.has(method)));
  assert.deepEqual([...more].sort(), [
    'CloseStdin',
    'ReadStderr',
    'ReadStdout',
    'TtyWinResize',
    'WriteStdin',
  ]);
});
