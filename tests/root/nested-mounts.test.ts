import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { repository } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const kata = '/run/kata-containers';
const shared = `${kata}/shared/containers`;
const volume = `${kata}/sandbox/ephemeral/vol`;
/** Of the test's own network namespace. It stands for any sysctl of the guest. */
const target = '/proc/sys/net/ipv4/conf/lo/route_localnet';

/** A program that has a name lead to two places in turn, for ever. */
const swapper = `
const { renameSync, symlinkSync } = require('node:fs');
const [, name, ...targets] = process.argv;
for (let count = 0; ; count += 1) {
  symlinkSync(targets[count % 2], name + '.next');
  renameSync(name + '.next', name);
}`;

const example = (name: string): string => readFileSync(join(repository, 'examples', name), 'utf8');

/** A hostile host has the OCI runtime work where somebody else changes names. */
describe('links that are exchanged while a container is made', {
  skip: whyNoContainers() ?? false,
}, () => {
  let folder = '';
  let rootfs = '';
  const agents: AgentProcess[] = [];
  const swappers: ChildProcess[] = [];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-nested-'));
    rootfs = makeRootfs(folder);
  });
  after(async () => {
    for (const each of swappers) each.kill('SIGKILL');
    for (const agent of agents) await agent.dispose();
    rmSync(folder, { recursive: true });
  });

  async function under(
    config: string,
    setup = ':',
  ): Promise<{ agent: AgentProcess; client: AgentConnection['agent'] }> {
    const agent = await AgentProcess.start({ config, setup });
    agents.push(agent);
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    return { agent, client };
  }

  const sysctlOf = (agent: AgentProcess): string =>
    execFileSync('nsenter', ['--net', '-t', String(agent.process.pid), 'cat', target], {
      encoding: 'utf8',
    }).trim();

  const request = (id: string, root: string, args: readonly string[]): CreateContainerRequest =>
    create(CreateContainerRequestSchema, containerRequest({ id, rootfs: root, args }));

  function bind({ OCI }: CreateContainerRequest, source: string, destination: string, mode = 'rw'): void {
    OCI?.Mounts.push(create(MountSchema, { type: 'bind', destination, source, options: ['rbind', mode] }));
  }

  it('lead no sysctl of a permitted name to another one', async () => {
    const { agent, client } = await under(example('minimal.toml'));
    const withVolume = (id: string, args: readonly string[]): CreateContainerRequest => {
      const made = request(id, rootfs, args);
      made.storages.push(
        create(StorageSchema, { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mountPoint: volume }),
      );
      bind(made, volume, '/vol');
      return made;
    };
    assert.equal(sysctlOf(agent), '0');
    // The container that keeps the volume; what it could do there with renameat2(2) is done from here.
    const attacker = `holder-${process.pid}`;
    await client.createContainer(withVolume(attacker, ['sleep', '60']));
    const seen = `/proc/${agent.process.pid}/root${volume}`;
    for (const name of ['safe', 'evil']) mkdirSync(join(seen, name));
    symlinkSync(target, join(seen, 'evil/msg_max'));
    symlinkSync('/vol/safe', join(seen, 'x'));
    const swapping = spawn(process.execPath, [
      '-e',
      swapper,
      join(seen, 'x'),
      '/vol/safe',
      '/proc/sys/fs/mqueue',
    ]);
    swappers.push(swapping);
    const codes = new Set<string>();
    for (let count = 0; count < 40; count += 1) {
      const id = `victim${count}-${process.pid}`;
      const made = withVolume(id, ['true']);
      bind(made, `${volume}/evil`, '/vol/x');
      if (made.OCI?.Linux) made.OCI.Linux.Sysctl = { 'fs.mqueue.msg_max': '1' };
      const { code } = await answerOf(client.createContainer(made));
      codes.add(code);
      if (code === 'OK') await client.removeContainer({ containerId: id });
      assert.equal(sysctlOf(agent), '0', `written after ${count + 1} creates`);
    }
    assert.deepEqual([...codes], ['PERMISSION_DENIED']);
  });

  it('replace no file of the image', async () => {
    const { client } = await under(
      example('rules/claimed-images.toml'),
      `mkdir -p ${shared}/vol ${shared}/evil && ln -s /bin ${shared}/vol/bin && cp -a ${rootfs}/bin/. ${shared}/evil/`,
    );
    const made = request(`image-${process.pid}`, rootfs, ['/bin/id']);
    if (made.OCI) made.OCI.Annotations = { 'io.kubernetes.cri.image-name': 'registry.example.com/shop/web' };
    bind(made, `${shared}/vol`, '/data', 'ro');
    bind(made, `${shared}/evil`, '/data/bin', 'ro');
    const { code, message } = await answerOf(client.createContainer(made));
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(
      message,
      /mount at "\/data\/bin": in the mount at "\/data", path "bin" leads out of its base/,
    );
  });

  it('are not made in a root by CopyFile while it is a container’s', async () => {
    const id = `copied-${process.pid}`;
    const root = `${shared}/${id}/rootfs`;
    const { agent, client } = await under(
      example('confidential.toml'),
      `mkdir -p ${root} ${shared}/evil && cp -a ${rootfs}/. ${root}/ && mkdir ${root}/safe`,
    );
    const link = (path: string, to: string) =>
      answerOf(
        client.copyFile({
          path,
          fileSize: 0n,
          fileMode: 0o120777,
          dirMode: 0o755,
          uid: 0,
          gid: 0,
          offset: 0n,
          data: new TextEncoder().encode(to),
        }),
      );
    await link(`${shared}/evil/msg_max`, target);
    const over = new AbortController();
    const flipping = (async () => {
      while (!over.signal.aborted)
        await Promise.all(['/safe', '/proc/sys/fs/mqueue'].map((to) => link(`${root}/x`, to)));
    })();
    for (let count = 0; count < 40; count += 1) {
      const made = request(id, root, ['true']);
      bind(made, `${shared}/evil`, '/x');
      if (made.OCI?.Linux) made.OCI.Linux.Sysctl = { 'fs.mqueue.msg_max': '1' };
      const { code } = await answerOf(client.createContainer(made));
      assert.equal(sysctlOf(agent), '0', `written after ${count + 1} creates`);
      if (code !== 'OK') continue;
      const refused = await link(`${root}/y`, '/safe');
      assert.equal(refused.code, 'FAILED_PRECONDITION');
      await client.removeContainer({ containerId: id });
    }
    over.abort();
    await flipping;
    assert.equal((await link(`${root}/y`, '/safe')).code, 'OK');
  });

  it('and /dev of a root is none', async () => {
    const { agent, client } = await under(
      example('minimal.toml'),
      `mkdir -p /run/of-the-guest && for name in dev proc sys; do root=${shared}/linked-$name-${process.pid}/rootfs; mkdir -p $root/run/of-the-guest && cp -a ${rootfs}/. $root/ && rmdir $root/$name && ln -s /run/of-the-guest $root/$name; done`,
    );
    for (const name of ['dev', 'proc', 'sys']) {
      const id = `linked-${name}-${process.pid}`;
      const made = request(id, `${shared}/${id}/rootfs`, ['true']);
      const { code, message } = await answerOf(client.createContainer(made));
      assert.equal(code, 'PERMISSION_DENIED');
      assert.match(message, new RegExp(`/${name} of the root ".*" is a link or a file`));
    }
    assert.deepEqual(readdirSync(`/proc/${agent.process.pid}/root/run/of-the-guest`), []);
    const made = request(`no-dev-${process.pid}`, rootfs, ['true']);
    if (made.OCI) made.OCI.Mounts = made.OCI.Mounts.filter(({ type }) => type === 'proc');
    const { code, message } = await answerOf(client.createContainer(made));
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(message, /no tmpfs at \/dev/);
  });
});
