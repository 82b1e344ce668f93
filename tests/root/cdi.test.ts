import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { HookSchema, HooksSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

/** The annotation that Kata's runtimes write for a GPU (Kata 4.1, virtcontainers/container.go, createCDIAnnotation). */
const gpuAnnotations = { 'cdi.k8s.io/vfio17': 'nvidia.com/gpu=0' };

const edits = (library: string) => ({
  env: ['GPU_UUID=GPU-1234', 'REPLACED=by the device'],
  deviceNodes: [{ path: '/dev/gpu0', hostPath: '/dev/fuse', permissions: 'rw' }],
  mounts: [
    {
      hostPath: library,
      containerPath: '/usr/lib/libcuda.so.1',
      options: ['ro', 'nosuid', 'nodev', 'rbind'],
    },
  ],
  additionalGids: [44],
});

describe('CDI devices', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let specs = '';
  let library = '';
  let number = 0;
  let agents: AgentProcess[] = [];

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-cdi-'));
    chmodSync(directory, 0o755);
    rootfs = makeRootfs(directory);
    library = join(directory, 'libcuda.so.535');
    writeFileSync(library, 'a library of the guest\n');
  });
  after(() => rmSync(directory, { recursive: true }));

  beforeEach(() => {
    specs = mkdtempSync(join(directory, 'specs-'));
    chmodSync(specs, 0o755);
  });
  afterEach(async () => {
    for (const agent of agents) await agent.dispose();
    agents = [];
  });

  /** Starts an agent whose /run/cdi is the directory of specifications. */
  async function startAgent(agentKeys?: string): Promise<AgentConnection['agent']> {
    const config =
      agentKeys === undefined ? undefined : `[agent]\n${agentKeys}\n[api]\nallowed_endpoints = ["*"]\n`;
    const process = await AgentProcess.start({
      ...(config === undefined ? {} : { config }),
      setup: `mkdir /run/cdi && mount --bind ${specs} /run/cdi`,
    });
    agents.push(process);
    const { agent } = await process.connect();
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    return agent;
  }

  function writeSpec(containerEdits: object, name = 'nvidia.json', device = '0'): void {
    const devices = [{ name: device, containerEdits }];
    const spec = {
      cdiVersion: '0.6.0',
      kind: 'nvidia.com/gpu',
      devices,
      containerEdits: { env: ['OUTER=yes'] },
    };
    writeFileSync(join(specs, name), JSON.stringify(spec), { mode: 0o644 });
  }

  const request = (
    script: string,
    options: {
      readonly annotations?: Readonly<Record<string, string>>;
      readonly env?: readonly string[];
    } = {},
  ) => {
    number += 1;
    return containerRequest({
      id: `cdi${number}-${process.pid}`,
      rootfs,
      args: ['sh', '-c', script],
      ...options,
    });
  };

  async function outputOf(
    agent: AgentConnection['agent'],
    creation: ReturnType<typeof request>,
  ): Promise<string> {
    const containerId = creation.containerId ?? '';
    await agent.createContainer(creation);
    await agent.startContainer({ containerId });
    const text =
      String(await readAll(agent, 'stdout', containerId)) +
      String(await readAll(agent, 'stderr', containerId));
    await agent.waitProcess({ containerId, execId: '' });
    await agent.removeContainer({ containerId });
    return text;
  }

  const script =
    'echo $GPU_UUID $OUTER "$REPLACED"; cat /usr/lib/libcuda.so.1; echo x > /usr/lib/libcuda.so.1 || echo read-only; ' +
    ': < /dev/gpu0 && echo opened; id -G; [ -e /dev/fuse ] || echo no other node';
  const expected =
    'GPU-1234 yes by the device\na library of the guest\nread-only\nopened\n0 44\nno other node\n';

  const inContainer = async (agent: AgentConnection['agent']): Promise<string> => {
    const text = await outputOf(
      agent,
      request(script, { annotations: gpuAnnotations, env: ['REPLACED=by the pod'] }),
    );
    return text.replace(/^.*(?:Read-only file system|can't create).*\n/m, '');
  };

  it('a GPU pod gets the devices, variables, mounts and groups of the guest’s specification', async () => {
    writeSpec(edits(library));
    assert.equal(await inContainer(await startAgent()), expected);
  });

  it('with a configuration the device must be in [agent] devices', async () => {
    writeSpec(edits(library));
    const denied = await answerOf(
      (await startAgent('cdi_timeout = 1')).createContainer(request('true', { annotations: gpuAnnotations })),
    );
    assert.equal(denied.code, 'PERMISSION_DENIED');
    assert.match(denied.message, /nvidia\.com\/gpu=0/);
    assert.equal(await inContainer(await startAgent('devices = ["nvidia.com/gpu=0"]')), expected);
  });

  it('a specification in YAML that appears later is waited for', async () => {
    const agent = await startAgent('devices = ["nvidia.com/gpu=all"]\nvisible_cdi_devices = true');
    const creation = request('echo $FROM_YAML', { env: ['VISIBLE_CDI_DEVICES=nvidia.com/gpu=all'] });
    const output = outputOf(agent, creation);
    await delay(300);
    mkdirSync(join(specs, 'ignored.yaml'));
    writeFileSync(
      join(specs, 'nvidia.yaml'),
      'cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits:\n    env:\n    - FROM_YAML=yes\n',
      { mode: 0o644 },
    );
    assert.equal(await output, 'yes\n');
  });

  it('VISIBLE_CDI_DEVICES requests nothing without visible_cdi_devices', async () => {
    const agent = await startAgent();
    const creation = request('echo "$GPU_UUID"', { env: ['VISIBLE_CDI_DEVICES=nvidia.com/gpu=0'] });
    writeSpec(edits(library));
    assert.equal(await outputOf(agent, creation), '\n');
  });

  it('a device that no specification defines is an error that names it, after cdi_timeout', async () => {
    const agent = await startAgent('cdi_timeout = 1\nprivileged_containers = "allow"');
    const creation = request('true', { annotations: gpuAnnotations });
    writeFileSync(join(specs, 'other.json'), '{"kind": 3}', { mode: 0o644 });
    const absent = await answerOf(agent.createContainer(creation));
    assert.equal(absent.code, 'NOT_FOUND');
    assert.match(absent.message, /"nvidia\.com\/gpu=0" after 1 seconds.*other\.json is not a valid CDI/);
    // A kind that is there without the device can never have it.
    writeSpec({ env: ['A=b'] }, 'nvidia.json', '7');
    const never = await answerOf(agent.createContainer(creation));
    assert.equal(never.code, 'NOT_FOUND');
    assert.match(never.message, /"nvidia\.com\/gpu=0" does not exist/);
    writeSpec(edits(library));
    assert.equal((await answerOf(agent.createContainer(creation))).code, 'OK');
  });

  it('what a specification must not give is refused, and a container can be created afterwards', async () => {
    const agent = await startAgent('cdi_timeout = 1\nprivileged_containers = "allow"');
    const creation = request('true', { annotations: gpuAnnotations });
    const hook = { hookName: 'createContainer', path: '/bin/true' };
    const refused: readonly (readonly [object, string, RegExp])[] = [
      [{ hooks: [hook] }, 'PERMISSION_DENIED', /has OCI hooks \(createContainer\).*hooks = "cdi"/],
      [{ deviceNodes: [{ path: '/dev/mem', type: 'c', major: 1, minor: 1 }] }, 'PERMISSION_DENIED', /memory/],
      [
        { deviceNodes: [{ path: '/dev/tpm0', type: 'c', major: 10, minor: 224 }] },
        'PERMISSION_DENIED',
        /attest/,
      ],
      [{ deviceNodes: [{ path: '/dev/sda', type: 'b', major: 8 }] }, 'PERMISSION_DENIED', /type b/],
      [{ deviceNodes: [{ path: '/dev/absent-device' }] }, 'FAILED_PRECONDITION', /not a character device/],
      [{ deviceNodes: [{ path: '/tmp/x', hostPath: '/dev/fuse' }] }, 'PERMISSION_DENIED', /not below \/dev/],
      [
        { mounts: [{ hostPath: '/run', containerPath: '/mnt', options: ['rbind'] }] },
        'PERMISSION_DENIED',
        /in or above/,
      ],
      [
        { mounts: [{ hostPath: '/var/run', containerPath: '/mnt', options: ['rbind'] }] },
        'PERMISSION_DENIED',
        /in or above/,
      ],
      [{ netDevices: [{ hostInterfaceName: 'eth0', name: 'x' }] }, 'UNIMPLEMENTED', /netDevices/],
    ];
    for (const [containerEdits, code, message] of refused) {
      writeSpec(containerEdits);
      const answer = await answerOf(agent.createContainer(creation));
      assert.equal(answer.code, code, answer.message);
      assert.match(answer.message, message);
      assert.match(answer.message, /nvidia\.com\/gpu=0/);
    }
    writeSpec(edits(library));
    assert.equal((await answerOf(agent.createContainer(creation))).code, 'OK');
  });

  for (const setting of ['cdi', 'allow'] as const)
    it(`hooks of a specification run with hooks = "${setting}", those of a request with "allow" only`, async () => {
      const agent = await startAgent(`hooks = "${setting}"\ndevices = ["nvidia.com/gpu=0"]`);
      const [ofSpec, ofRequest] = ['spec', 'request'].map((name) => join(directory, `${name}-hook-ran`));
      assert.ok(ofSpec !== undefined && ofRequest !== undefined);
      const touch = (mark: string) => ({ path: '/usr/bin/touch', args: ['touch', mark] });
      writeSpec({ hooks: [{ hookName: 'createRuntime', ...touch(ofSpec) }] });
      await outputOf(agent, request('true', { annotations: gpuAnnotations }));
      rmSync(ofSpec);
      const { path: Path, args: Args } = touch(ofRequest);
      const creation = create(CreateContainerRequestSchema, request('true', { annotations: gpuAnnotations }));
      assert.ok(creation.OCI !== undefined);
      creation.OCI.Hooks = create(HooksSchema, { Prestart: [create(HookSchema, { Path, Args })] });
      const answer = await answerOf(agent.createContainer(creation));
      assert.equal(existsSync(ofRequest), setting === 'allow', answer.message);
      if (setting === 'allow') return;
      assert.equal(answer.code, 'PERMISSION_DENIED');
      assert.match(answer.message, /OCI hooks \(prestart\) are refused/);
      assert.equal(existsSync(ofSpec), false);
      const other = await startAgent('hooks = "cdi"');
      const sandbox = other.createSandbox({ sandboxId: 'other', guestHookPath: '/usr/share/oci/hooks' });
      assert.match(
        (await answerOf(sandbox)).message,
        /guest_hook_path .* is refused; help: set hooks = "allow"/,
      );
    });
});
