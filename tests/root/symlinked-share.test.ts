import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type CopyFileRequestSchema, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { repository } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const kata = '/run/kata-containers';
const shared = `${kata}/shared/containers`;
const confidential = readFileSync(join(repository, 'examples', 'confidential.toml'), 'utf8');
const withDiagnostics = confidential
  .replace('["@pod", "@copy"]', '["@pod", "@copy", "@diagnostics"]')
  .replace('  "@diagnostics",\n', '');

/** With Nydus, Kata's runtimes mount the host's share here; a tmpfs replaces it. */
const share = `mkdir -p ${kata}/shared /run/of-the-guest && mount -t tmpfs share ${kata}/shared`;

function file(path: string): MessageInitShape<typeof CopyFileRequestSchema> {
  const data = new TextEncoder().encode('#!/bin/sh\n');
  const rights = { fileMode: 0o104755, dirMode: 0o755, uid: 0, gid: 0 };
  return { path: `${shared}/${path}`, fileSize: BigInt(data.length), offset: 0n, data, ...rights };
}

describe('a shared directory that the host replaces by a symbolic link', {
  skip: whyNoContainers() ?? false,
}, () => {
  let directory = '';
  let rootfs = '';
  let agent: AgentProcess;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
    rootfs = makeRootfs(directory);
  });
  afterEach(() => agent.dispose());
  after(() => rmSync(directory, { recursive: true }));

  const inGuest = (path: string): string => `/proc/${agent.process.pid}/root${path}`;
  const runAsHost = (script: string): void => {
    const enter = ['--mount', '-t', String(agent.process.pid), 'sh', '-c', script];
    execFileSync('nsenter', enter);
  };

  it('CopyFile writes into the shared directory, and does not follow a symbolic link in its place', async () => {
    agent = await AgentProcess.start({ config: confidential, setup: share });
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    await client.copyFile(file('deep/passwd'));
    assert.ok(existsSync(inGuest(`${shared}/deep/passwd`)));
    runAsHost(`mv ${shared} ${kata}/shared/old && ln -s /run/of-the-guest ${shared}`);
    const { code, message } = await answerOf(client.copyFile(file('deep/passwd')));
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(message, /shared directory \/run\/kata-containers\/shared\/containers leads through a symb/);
    assert.ok(!existsSync(inGuest('/run/of-the-guest/deep')), 'a file of the guest was written');
  });

  it('GetDiagnosticData reads no file of the guest through a symbolic link in place of the shared directory', async () => {
    agent = await AgentProcess.start({
      config: withDiagnostics,
      setup: `${share} && mkdir ${shared} && touch ${shared}/sandbox.json`,
    });
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'the-pods-own-record' });
    const containerId = `reads-${process.pid}`;
    const annotations = { 'io.kubernetes.container.terminationMessagePath': '/log' };
    const init = containerRequest({ id: containerId, rootfs, args: ['sleep', '60'], annotations });
    const request = create(CreateContainerRequestSchema, init);
    const source = `${shared}/sandbox.json`;
    request.OCI?.Mounts.push(
      create(MountSchema, { type: 'bind', destination: '/log', source, options: ['rbind'] }),
    );
    await client.createContainer(request);
    const read = { containerId, logType: 'termination_log' };
    assert.equal((await client.getDiagnosticData(read)).data, '');
    runAsHost(`mv ${shared} ${kata}/shared/old && ln -s /run/kata-agent ${shared}`);
    const { code, message } = await answerOf(client.getDiagnosticData(read));
    assert.equal(code, 'PERMISSION_DENIED', message);
  });
});
