import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll, readUntil } from '../harness/container-client.js';
import { ctlProgram } from '../harness/repository.js';
import { whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';
import { type ListedCall, makeShare } from './scenario-share.js';

/** `quiet` executes what it reads; Kubernetes gives it no standard input. */
const manifest = `apiVersion: v1
kind: Pod
metadata: { name: streams }
spec:
  enableServiceLinks: false
  automountServiceAccountToken: false
  containers:
    - { name: quiet, image: docker.io/library/box:1, command: [sh] }
    - name: fed
      image: docker.io/library/box:1
      command: [sh]
      stdin: true
      livenessProbe: { exec: { command: [echo, key] } }
`;
const image = { config: { Env: ['PATH=/usr/bin:/bin'] } };
const preload = fileURLToPath(import.meta.resolve('@kata-agent/tool-command/virtiofs-bind'));

describe('streams of a container beside one with standard input (S41)', {
  skip: whyNoContainers() ?? false,
}, () => {
  const files = mkdtempSync(join(tmpdir(), 'kata-agent-streams-'));
  const share = join(files, 'share');
  let agent: AgentProcess | undefined;
  let client: AgentConnection['agent'];
  const created = new Map<string, CreateContainerRequest>();
  let probe: JsonValue;
  const idOf = (name: string): string => created.get(name)?.containerId ?? assert.fail(name);

  before(async () => {
    writeFileSync(join(files, 'pod.yaml'), manifest);
    writeFileSync(join(files, 'image.json'), JSON.stringify(image));
    const pod = ['--pod', join(files, 'pod.yaml'), '--runtime', 'go', '--guest', 'shared-fs'].concat(
      '--image-config',
      `docker.io/library/box:1=${join(files, 'image.json')}`,
    );
    const ctl = (...args: readonly string[]): string =>
      execFileSync(process.execPath, [ctlProgram, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    const text = ctl('config', 'generate', ...pod);
    const calls = JSON.parse(ctl('replay', ...pod, '--list', '--format', 'json')) as readonly ListedCall[];
    mkdirSync(share);
    makeShare(share, calls);
    agent = await AgentProcess.start({
      config: text.replace('[agent]\n', '[agent]\nserver_addr = "vsock://-1:1024"\n'),
      env: { SHARED_DIRECTORY: share, NODE_OPTIONS: `--import=${preload}` },
    });
    ({ agent: client } = await agent.connect());
    for (const { method, request } of calls) {
      const json = request as unknown as JsonValue;
      if (method === 'CreateSandbox') await client.createSandbox(fromJson(CreateSandboxRequestSchema, json));
      if (method === 'ExecProcess') probe = json;
      if (method !== 'CreateContainer') continue;
      const made = fromJson(CreateContainerRequestSchema, json);
      created.set(made.OCI?.Annotations['io.kubernetes.cri.container-name'] ?? '', made);
      await client.createContainer(made);
      await client.startContainer({ containerId: made.containerId });
    }
  });
  after(async () => {
    await agent?.dispose();
    rmSync(files, { recursive: true });
  });

  it('the container with standard input is fed and read', async () => {
    const containerId = idOf('fed');
    await client.writeStdin({ containerId, execId: '', data: Buffer.from('echo "it $((40 + 2))"\n') });
    await readUntil(client, containerId, 'it 42');
  });

  it('nothing is written to another one, by neither name of its process', async () => {
    const containerId = idOf('quiet');
    for (const execId of ['', containerId]) {
      const data = Buffer.from('echo typed by the host > /proc/1/fd/1\n');
      const { code, message } = await answerOf(client.writeStdin({ containerId, execId, data }));
      assert.equal(code, 'PERMISSION_DENIED');
      assert.match(message, /write-stdin-streams/);
      assert.equal((await answerOf(client.closeStdin({ containerId, execId }))).code, 'PERMISSION_DENIED');
    }
  });

  it('what another one and the commands of probes print stays in the guest', async () => {
    const containerId = idOf('fed');
    await client.execProcess({ ...fromJson(ExecProcessRequestSchema, probe), execId: 'probe' });
    for (const stream of ['stdout', 'stderr'] as const) {
      assert.equal((await readAll(client, stream, containerId, 'probe')).toString(), '');
      assert.equal((await readAll(client, stream, idOf('quiet'))).toString(), '');
    }
    const { status } = await client.waitProcess({ containerId, execId: 'probe' });
    assert.equal(status, 0);
  });
});
