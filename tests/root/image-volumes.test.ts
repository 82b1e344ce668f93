import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { withGuestPaths } from '../harness/guest-paths.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const shared = '/run/kata-containers/shared/containers';
const api = '[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n';

describe('volumes that an image declares (S41)', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let agent: AgentProcess;
  let client: Awaited<ReturnType<AgentProcess['connect']>>['agent'];
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
    rootfs = makeRootfs(directory);
    const data = join(rootfs, 'var/data');
    mkdirSync(join(data, 'sub'), { recursive: true });
    writeFileSync(join(data, 'sub/config'), 'of the image\n');
    symlinkSync('sub/config', join(data, 'link'));
    chownSync(data, 70, 71);
    chmodSync(data, 0o757);
    chownSync(join(data, 'sub/config'), 72, 73);
    chmodSync(join(data, 'sub/config'), 0o646);
    symlinkSync('/var/data', join(rootfs, 'alias'));
    writeFileSync(join(rootfs, 'var/file'), 'a file\n');
  });
  after(() => rmSync(directory, { recursive: true }));
  afterEach(() => agent.dispose());

  async function start(...volumes: readonly string[]): Promise<void> {
    const key = volumes.length === 0 ? '' : `[agent]\nimage_volumes = ${JSON.stringify(volumes)}\n`;
    agent = await AgentProcess.start({ config: withGuestPaths(`${key}${api}`) });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    const host = `mkdir -p ${shared}/host/sub && echo of the host > ${shared}/host/sub/config && echo x > ${shared}/host/more && ln -s /etc ${shared}/link`;
    execFileSync('nsenter', ['--mount', '-t', String(agent.process.pid), 'sh', '-ec', host]);
  }
  let count = 0;
  function request(
    prints: string,
    {
      container = 'db',
      destination = '/var/data',
      source = `${shared}/host`,
      type = 'bind',
      options = ['rbind', 'rprivate', 'rw'],
    }: {
      readonly container?: string;
      readonly destination?: string;
      readonly source?: string;
      readonly type?: string;
      readonly options?: string[];
    } = {},
  ) {
    count += 1;
    const made = create(
      CreateContainerRequestSchema,
      containerRequest({
        id: `volume-${process.pid}-${count}`,
        rootfs,
        args: ['sh', '-c', `(${prints}) 2>&1`],
        annotations: { 'io.kubernetes.cri.container-name': container },
      }),
    );
    made.OCI?.Mounts.push(create(MountSchema, { type, destination, source, options }));
    return made;
  }
  async function outputOf(made: ReturnType<typeof request>): Promise<string> {
    await client.createContainer(made);
    await client.startContainer({ containerId: made.containerId });
    const output = (await readAll(client, 'stdout', made.containerId)).toString();
    await client.removeContainer({ containerId: made.containerId });
    return output;
  }
  const all = 'cd /var/data && busybox find . | busybox sort && cat sub/config link';
  const ofImage = '.\n./link\n./sub\n./sub/config\nof the image\nof the image\n';

  it('have what the host has there, unless image_volumes names them: then what the image has', async () => {
    await start();
    assert.match(await outputOf(request(all)), /of the host/);
    await agent.dispose();
    await start('db=/var/data');
    assert.equal(await outputOf(request(all)), ofImage);
    assert.equal(
      await outputOf(request('busybox stat -c "%a %u %g %F" /var/data /var/data/sub/config')),
      '757 70 71 directory\n646 72 73 regular file\n',
    );
  });

  it('are written, each container has its own, and nothing of them is left', async () => {
    await start('db=/var/data');
    const writes =
      'cd /var/data && echo new > sub/config && echo more > more && busybox rm link && cat sub/config more';
    assert.equal(await outputOf(request(writes)), 'new\nmore\n');
    assert.equal(await outputOf(request(all)), ofImage);
    assert.equal(readFileSync(join(rootfs, 'var/data/sub/config'), 'utf8'), 'of the image\n');
    const table = execFileSync('nsenter', [
      '--mount',
      '-t',
      String(agent.process.pid),
      'cat',
      '/proc/self/mounts',
    ]);
    assert.ok(!table.toString().includes('volume-'), table.toString());
    const readOnly = request('echo x > /var/data/x; cat /var/data/link', { options: ['rbind', 'ro'] });
    assert.match(await outputOf(readOnly), /Read-only file system\nof the image\n$/);
  });

  it('are filled whatever the source is, and by whatever path the host names them', async () => {
    await start('db=/var/data', 'db=/var/missing', 'db=/alias');
    for (const source of [`${shared}/absent`, `${shared}/host/sub/config`, `${shared}/link`])
      assert.equal(await outputOf(request(all, { source })), ofImage, source);
    for (const destination of ['/alias', '//var/data', '/var/./data'])
      assert.equal(await outputOf(request(all, { destination })), ofImage, destination);
    const missing = request('busybox ls -A /var/missing; echo x > /var/missing/x && cat /var/missing/x', {
      destination: '/var/missing',
    });
    assert.equal(await outputOf(missing), 'x\n');
  });

  it('are of the named container alone; a mount that cannot be filled is refused and leaves nothing', async () => {
    await start('db=/var/data', 'db=/var/file');
    assert.match(await outputOf(request(all, { container: 'web' })), /of the host/);
    const bundles = '/run/kata-agent/bundles';
    for (const [asked, message] of [
      [request('true', { type: 'tmpfs', source: 'tmpfs', options: [] }), /it is not a bind mount/],
      [request('true', { destination: '/var/file' }), /var\/file/],
    ] as const) {
      const answer = await answerOf(client.createContainer(asked));
      assert.match(answer.message, message);
    }
    const left = execFileSync('nsenter', [
      '--mount',
      '-t',
      String(agent.process.pid),
      'sh',
      '-c',
      `ls ${bundles} 2>/dev/null || true`,
    ]);
    assert.equal(left.toString(), '');
  });
});
