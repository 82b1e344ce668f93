import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { unclaimedWithForward } from '@kata-agent/catalogue';
import {
  AgentService,
  CopyFileRequestSchema,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
} from '@kata-agent/protocol/agent';
import { Code } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { callInner, InnerAgentProcess } from '../harness/inner-agent.js';
import { whyWithout } from '../harness/prerequisites.js';
import { repository } from '../harness/repository.js';
import { build } from '../interop/artifacts.js';

const page = readFileSync(join(repository, 'docs/forward-mode.md'), 'utf8');
const units = join(repository, 'image/systemd');
const address = 'unix:///run/kata-agent-inner/agent.sock';
const built = build('inner-agent', 'kata.binpb');
const { createContainer, createSandbox, copyFile } = AgentService.method;

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
  test('allows what a pod needs, and denies requests that name files of the guest, links and hooks', async () => {
    const inner = new InnerAgentProcess(built);
    await inner.start();
    const [, text = ''] = /\n```toml\n(.*?)```\n/s.exec(page) ?? [];
    const agent = await AgentProcess.start({ config: text.replace(address, inner.address) });
    try {
      const { channel } = await agent.connect();
      const denied = { code: Code.PermissionDenied };
      const sandbox = (init: MessageInitShape<typeof CreateSandboxRequestSchema>) =>
        callInner(channel, createSandbox, create(CreateSandboxRequestSchema, init));
      const storage = (init: object) => sandbox({ storages: [init] });
      await storage({
        driver: 'virtio-fs',
        source: 'kataShared',
        mountPoint: '/run/kata-containers/shared/containers/',
      });
      await storage({ driver: 'blk', source: '/dev/vdb', fstype: 'ext4' });
      await storage({ driver: 'watchable-bind', source: '/run/kata-containers/shared/containers/x' });
      await assert.rejects(storage({ source: '/run/kata-agent-inner', driver: 'local' }), denied);
      await assert.rejects(storage({ source: '/run/kata-containers-x' }), denied);
      await assert.rejects(storage({ source: 'x', fstype: 'bind' }), denied);
      await assert.rejects(storage({ source: 'x', options: ['rbind'] }), denied);
      await assert.rejects(sandbox({ guestHookPath: '/hooks' }), denied);
      const copy = (path: string, fileMode: number, data = '') =>
        callInner(
          channel,
          copyFile,
          create(CopyFileRequestSchema, { path, fileMode, data: Buffer.from(data) }),
        );
      const [file, link] = [0o100644, 0o120777];
      await copy('/run/kata-containers/shared/containers/a', file);
      await copy('/run/kata-containers/shared/containers/a', link, '..2026_11_27/a');
      await assert.rejects(copy('/etc/passwd', file), denied);
      for (const target of ['/run/kata-agent-inner', '../../x', 'a/../../x', '..'])
        await assert.rejects(copy('/run/kata-containers/a', link, target), denied, target);
      const mounts = (source: string) => ({
        OCI: { Mounts: [{ type: 'bind', source, destination: '/x', options: ['rbind'] }] },
      });
      const container = (init: MessageInitShape<typeof CreateContainerRequestSchema>) =>
        callInner(channel, createContainer, create(CreateContainerRequestSchema, init));
      await assert.rejects(container(mounts('/run/kata-agent-inner')), denied);
      await assert.rejects(container({ OCI: { Hooks: { Poststop: [{ Path: '/x' }] } } }), denied);
    } finally {
      await agent.dispose();
      await inner.dispose();
    }
  });
});
