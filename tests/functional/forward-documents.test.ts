import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type MethodName, unclaimedWithForward } from '@kata-agent/catalogue';
import {
  AgentService,
  type CreateContainerRequest,
  CreateSandboxRequestSchema,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { type Channel, Code } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { forwardedContainer, forwardedRequest, shared } from '../harness/forwarded-requests.js';
import { callInner, InnerAgentProcess } from '../harness/inner-agent.js';
import { whyWithout } from '../harness/prerequisites.js';
import { repository } from '../harness/repository.js';
import { build } from '../interop/artifacts.js';

const page = readFileSync(join(repository, 'docs/forward-mode.md'), 'utf8');
const units = join(repository, 'image/systemd');
const address = 'unix:///run/kata-agent-inner/agent.sock';
const built = build('inner-agent', 'kata.binpb');
const { createContainer, createSandbox } = AgentService.method;

function unit(name: string): string {
  return readFileSync(join(units, name), 'utf8');
}

test('the page names each guarantee that is not claimed, and security.md has a row for each', () => {
  const section = page.slice(page.indexOf('\n## What is not claimed\n')).split('\n\n')[1] ?? '';
  const named = [...section.matchAll(/\bS\d+\b/g)].map(([id]) => id);
  assert.deepEqual(
    named,
    unclaimedWithForward.map(({ id }) => id),
  );
  const rows = readFileSync(join(repository, 'docs/security.md'), 'utf8');
  for (const id of named) assert.ok(rows.includes(`\n| ${id} |`), id);
});

test('page, units and file of the image recipe name one socket, in a directory of root alone', () => {
  assert.ok(page.includes(`forward = "${address}"`));
  assert.ok(unit('forward/agent.toml').includes(`server_addr = "${address}"\n`));
  const inner = unit('forward/kata-agent-inner.service');
  assert.match(inner, /^RuntimeDirectory=kata-agent-inner\nRuntimeDirectoryMode=0700$/m);
  assert.match(inner, /^ExecStart=\/usr\/bin\/env -i PATH=\S+ \/usr\/bin\/kata-agent-inner --config \S+$/m);
  assert.doesNotMatch(inner, /^(Environment|PassEnvironment|Restart)/m);
});

const withoutSystemd = whyWithout('systemd') ?? false;

test('systemd accepts the units of the recipe', { skip: withoutSystemd }, () => {
  const root = mkdtempSync(join(tmpdir(), 'forward-units-'));
  try {
    const place = (path: string, text: string, mode = 0o644): void => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text, { mode });
    };
    const system = 'usr/lib/systemd/system';
    cpSync('/usr/lib/systemd/system', join(root, system), { recursive: true, verbatimSymlinks: true });
    for (const name of ['kata-agent.service', 'kata-containers.target', 'forward/kata-agent-inner.service'])
      place(join(system, name.replace('forward/', '')), unit(name));
    place(join(system, 'kata-agent.service.d/forward.conf'), unit('forward/forward.conf'));
    for (const program of ['kata-agent', 'kata-agent-inner', 'env', 'sync'])
      place(join('usr/bin', program), '#!/bin/sh\n', 0o755);
    const verify = (): ReturnType<typeof spawnSync> & { stderr: string } =>
      spawnSync(
        'systemd-analyze',
        [
          'verify',
          '--recursive-errors=no',
          `--root=${root}`,
          'kata-agent.service',
          'kata-agent-inner.service',
        ],
        { encoding: 'utf8' },
      );
    const { status, stderr } = verify();
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    place(
      join(system, 'kata-agent-inner.service'),
      unit('forward/kata-agent-inner.service').replace('Mode=', 'Mod='),
    );
    assert.match(verify().stderr, /Unknown key.*RuntimeDirectoryMod/);
  } finally {
    rmSync(root, { recursive: true });
  }
});

suite('the configuration of the page', { skip: built.ok ? false : built.missing }, () => {
  const example = readFileSync(join(repository, 'examples/forward.toml'), 'utf8');
  const known = (request: CreateContainerRequest): void => {
    for (const storage of request.storages) storage.source = 'registry.example/web:1';
  };

  async function withExample(
    text: string,
    work: (channel: Channel, inner: InnerAgentProcess) => Promise<void>,
  ): Promise<void> {
    const inner = new InnerAgentProcess(built);
    await inner.start();
    const agent = await AgentProcess.start({ config: text.replace(address, inner.address) });
    try {
      const { channel } = await agent.connect();
      await work(channel, inner);
    } finally {
      await agent.dispose();
      await inner.dispose();
    }
  }

  test('is the example, word by word', () => {
    const [, text = ''] = /\n```toml\n(.*?)```\n/s.exec(page) ?? [];
    assert.equal(text, example);
  });

  test('serves each call that a pod of either runtime needs, and no others', async () => {
    await withExample(example, async (channel, inner) => {
      const served = [
        'UpdateInterface',
        'UpdateRoutes',
        'AddARPNeighbors',
        'CreateSandbox',
        'GetGuestDetails',
        'CopyFile',
      ];
      for (const name of served) await call(channel, name as MethodName);
      await callInner(channel, createContainer, forwardedContainer('c1', known));
      const ofContainer = [
        'StartContainer',
        'ReadStdout',
        'SignalProcess',
        'WaitProcess',
        'OnlineCPUMem',
        'GetOOMEvent',
      ];
      for (const name of [...ofContainer, 'RemoveContainer', 'RemoveStaleVirtiofsShareMounts'])
        await call(channel, name as MethodName);
      assert.equal(inner.calls.length, served.length + 1 + ofContainer.length + 2);
      const denied = { code: Code.PermissionDenied };
      await assert.rejects(callInner(channel, createContainer, forwardedContainer('c2')), denied);
      await assert.rejects(call(channel, 'ExecProcess'), { code: Code.Unimplemented });
    });
  });

  test('a pod with a shared file system, and its watched volumes, needs the line that trusts the host', async () => {
    const share = { driver: 'virtio-fs', source: 'kataShared', fstype: 'virtiofs', mountPoint: `${shared}/` };
    const sandbox = create(CreateSandboxRequestSchema, { storages: [share] });
    await withExample(example, async (channel) => {
      await assert.rejects(callInner(channel, createSandbox, sandbox), {
        message: /help: add "rw:\/run\/kata/,
      });
    });
    const trusting = example.replace('# guest_paths', 'guest_paths').replace(/\n\[\[api\.rule\]\].*/s, '\n');
    assert.notEqual(trusting, example);
    await withExample(trusting, async (channel) => {
      await callInner(channel, createSandbox, sandbox);
      const volume = 'w1-0123456789abcdef-config';
      const request = forwardedContainer('w1', ({ OCI, storages }) => {
        if (OCI?.Root !== undefined) OCI.Root.Path = `${shared}/w1/rootfs`;
        const watched = {
          driver: 'watchable-bind',
          source: `${shared}/${volume}`,
          fstype: 'bind',
          mountPoint: `${shared}/watchable/${volume}`,
          options: ['rbind', 'rprivate', 'ro'],
        };
        storages.splice(0, 1, create(StorageSchema, watched));
        OCI?.Mounts.push(
          create(MountSchema, {
            destination: '/config',
            type: 'bind',
            source: `${shared}/watchable/${volume}`,
            options: ['rbind', 'rprivate', 'ro'],
          }),
        );
      });
      await callInner(channel, createContainer, request);
    });
  });
});

async function call(channel: Channel, name: MethodName): Promise<void> {
  const method = AgentService.methods.find((each) => each.name === name);
  if (method === undefined) throw new TypeError(name);
  await callInner(channel, method, forwardedRequest(name));
}
