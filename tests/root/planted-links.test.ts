import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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
const secret = 'key of the container';
const refused = /Too many levels of symbolic links/;

describe('links that the host plants in a volume of its share (S38)', {
  skip: whyNoContainers() ?? false,
}, () => {
  let directory = '';
  let rootfs = '';
  let agent: AgentProcess;
  let client: Awaited<ReturnType<AgentProcess['connect']>>['agent'];
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
    rootfs = makeRootfs(directory);
    mkdirSync(join(rootfs, 'run/own'), { recursive: true });
    mkdirSync(join(rootfs, 'srv'));
    writeFileSync(join(rootfs, 'run/own/key'), secret);
    symlinkSync('/srv', join(rootfs, 'alias'));
  });
  after(() => rmSync(directory, { recursive: true }));
  afterEach(() => agent.dispose());

  async function start(...noLinks: readonly string[]): Promise<void> {
    const key = noLinks.length === 0 ? '' : `[agent]\nnosymfollow = ${JSON.stringify(noLinks)}\n`;
    agent = await AgentProcess.start({ config: withGuestPaths(`${key}${api}`) });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    inShare(
      'mkdir -p data/sub nested/..v1 && echo plain > data/plain && ln -s ..v1 nested/..data && echo value > nested/..v1/key && ln -s ..data/key nested/key',
    );
  }
  function inShare(script: string): void {
    const command = `mkdir -p ${shared} && cd ${shared} && ${script}`;
    execFileSync('nsenter', ['--mount', '-t', String(agent.process.pid), 'sh', '-ec', command]);
  }
  let count = 0;
  /** Returns what a container prints that is created before the host plants its links. */
  async function outputOf(
    prints: string,
    {
      container = 'web',
      mounts = [['/data', 'data']],
      options = ['rbind', 'rprivate', 'rw'],
    }: {
      readonly container?: string;
      readonly mounts?: readonly (readonly [destination: string, source: string])[];
      readonly options?: readonly string[];
    } = {},
  ): Promise<string> {
    count += 1;
    const id = `planted-${process.pid}-${count}`;
    const made = create(
      CreateContainerRequestSchema,
      containerRequest({
        id,
        rootfs,
        args: ['sh', '-c', `(${prints}) 2>&1`],
        annotations: { 'io.kubernetes.cri.container-name': container },
      }),
    );
    for (const [destination, source] of mounts)
      made.OCI?.Mounts.push(
        create(MountSchema, {
          type: 'bind',
          destination,
          source: `${shared}/${source}`,
          options: [...options],
        }),
      );
    await client.createContainer(made);
    inShare('ln -sfn /run/own/key data/page && ln -sfn /run/own data/directory && ln -sfn plain data/inner');
    await client.startContainer({ containerId: id });
    const output = (await readAll(client, 'stdout', id)).toString();
    await client.removeContainer({ containerId: id });
    return output;
  }

  it('a workload that serves the volume serves another file of the container, unless nosymfollow names the mount', async () => {
    await start();
    assert.equal(await outputOf('cat /data/page'), secret);
    await agent.dispose();
    await start('web=/data');
    assert.match(await outputOf('cat /data/page'), refused);
    assert.equal(await outputOf('cat /data/plain'), 'plain\n');
  });

  it('neither a link to a directory nor one within the volume is followed, for writing neither, with each option of the mount', async () => {
    await start('web=/data');
    for (const options of [
      ['rbind', 'rw'],
      ['bind', 'ro', 'nosuid'],
      ['rbind', 'rslave', 'rw', 'symfollow'],
    ]) {
      assert.match(await outputOf('cat /data/directory/key', { options }), refused);
      assert.match(await outputOf('cat /data/inner', { options }), refused);
    }
    const written = await outputOf('echo forged > /data/page; cat /run/own/key');
    assert.match(written, refused);
    assert.ok(written.endsWith(secret), written);
  });

  it("the container's other mounts keep their links, also one within the volume", async () => {
    await start('web=/data');
    const mounts = [
      ['/data', 'data'],
      ['/data/sub', 'nested'],
      ['/srv', 'nested'],
    ] as const;
    const output = await outputOf('cat /data/sub/key /srv/key; cat /data/page', { mounts });
    assert.match(output, /^value\nvalue\n/);
    assert.match(output, refused);
  });

  it('the mount point is found through a link of the root, by both names', async () => {
    for (const name of ['/srv', '/alias']) {
      await start(`web=${name}`);
      assert.match(await outputOf('cat /srv/page', { mounts: [['/alias', 'data']] }), refused);
      await agent.dispose();
    }
    await start('web=/alias');
  });

  it('a container of another name keeps its links', async () => {
    await start('web=/data');
    assert.equal(await outputOf('cat /data/page', { container: 'other' }), secret);
  });

  it('the agent itself follows no link for a termination message', async () => {
    await start();
    inShare(`echo ended > message && ln -s ${shared}/message absolute && ln -s message relative`);
    for (const source of ['message', 'relative', 'absolute']) {
      const id = `message-${process.pid}-${source}`;
      const made = create(
        CreateContainerRequestSchema,
        containerRequest({
          id,
          rootfs,
          args: ['sleep', '1000'],
          annotations: { 'io.kubernetes.container.terminationMessagePath': '/log' },
        }),
      );
      const log = {
        type: 'bind',
        destination: '/log',
        source: `${shared}/${source}`,
        options: ['rbind', 'rw'],
      };
      made.OCI?.Mounts.push(create(MountSchema, log));
      if (source !== 'message') {
        const answer = await answerOf(client.createContainer(made));
        assert.equal(answer.code, 'PERMISSION_DENIED', answer.message);
        continue;
      }
      await client.createContainer(made);
      const read = { containerId: id, logType: 'termination_log' };
      assert.equal((await client.getDiagnosticData(read)).data, 'ended\n');
      inShare('rm message && ln -s /etc/hostname message');
      const answer = await answerOf(client.getDiagnosticData(read));
      assert.match(answer.message, /link/);
      inShare('rm message && echo ended > message');
      await client.removeContainer({ containerId: id });
    }
  });
});
