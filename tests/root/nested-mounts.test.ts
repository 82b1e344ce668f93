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
/** The sysctl of the attack, in the network namespace of the test. */
const target = '/proc/sys/net/ipv4/conf/lo/route_localnet';

/** A program that alternates a symbolic link between two targets until it is killed. */
const swapper = `
const { renameSync, symlinkSync } = require('node:fs');
const [, name, ...targets] = process.argv;
for (let count = 0; ; count += 1) {
  symlinkSync(targets[count % 2], name + '.next');
  renameSync(name + '.next', name);
}`;

const example = (name: string): string => readFileSync(join(repository, 'examples', name), 'utf8');

/** A hostile host lets the OCI runtime work in a directory in which other programs change names. */
describe('symbolic links that change during CreateContainer', {
  skip: whyNoContainers() ?? false,
}, () => {
  let directory = '';
  let rootfs = '';
  const agents: AgentProcess[] = [];
  const swappers: ChildProcess[] = [];
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-nested-'));
    rootfs = makeRootfs(directory);
  });
  after(async () => {
    for (const each of swappers) each.kill('SIGKILL');
    for (const agent of agents) await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  async function startAgent(
    config: string,
    setup = ':',
  ): Promise<{ agent: AgentProcess; client: AgentConnection['agent'] }> {
    const agent = await AgentProcess.start({ config, setup });
    agents.push(agent);
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    return { agent, client };
  }

  const readSysctl = (agent: AgentProcess): string =>
    execFileSync('nsenter', ['--net', '-t', String(agent.process.pid), 'cat', target], {
      encoding: 'utf8',
    }).trim();

  const request = (id: string, root: string, args: readonly string[]): CreateContainerRequest =>
    create(CreateContainerRequestSchema, containerRequest({ id, rootfs: root, args }));

  function bind({ OCI }: CreateContainerRequest, source: string, destination: string, mode = 'rw'): void {
    OCI?.Mounts.push(create(MountSchema, { type: 'bind', destination, source, options: ['rbind', mode] }));
  }

  it('a changing link does not redirect a permitted sysctl to another one', async () => {
    const { agent, client } = await startAgent(example('minimal.toml'));
    const withVolume = (id: string, args: readonly string[]): CreateContainerRequest => {
      const creation = request(id, rootfs, args);
      creation.storages.push(
        create(StorageSchema, { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mountPoint: volume }),
      );
      bind(creation, volume, '/vol');
      return creation;
    };
    assert.equal(readSysctl(agent), '0');
    // This container has the volume, in which the test acts in its place: a container can do this with renameat2(2).
    const attacker = `holder-${process.pid}`;
    await client.createContainer(withVolume(attacker, ['sleep', '60']));
    const volumeInGuest = `/proc/${agent.process.pid}/root${volume}`;
    for (const name of ['safe', 'evil']) mkdirSync(join(volumeInGuest, name));
    symlinkSync(target, join(volumeInGuest, 'evil/msg_max'));
    symlinkSync('/vol/safe', join(volumeInGuest, 'x'));
    const swapperProcess = spawn(process.execPath, [
      '-e',
      swapper,
      join(volumeInGuest, 'x'),
      '/vol/safe',
      '/proc/sys/fs/mqueue',
    ]);
    swappers.push(swapperProcess);
    const codes = new Set<string>();
    for (let count = 0; count < 40; count += 1) {
      const id = `victim${count}-${process.pid}`;
      const creation = withVolume(id, ['true']);
      bind(creation, `${volume}/evil`, '/vol/x');
      if (creation.OCI?.Linux) creation.OCI.Linux.Sysctl = { 'fs.mqueue.msg_max': '1' };
      const { code } = await answerOf(client.createContainer(creation));
      codes.add(code);
      if (code === 'OK') await client.removeContainer({ containerId: id });
      assert.equal(readSysctl(agent), '0', `written after ${count + 1} creates`);
    }
    assert.deepEqual([...codes], ['PERMISSION_DENIED']);
  });

  it('a link in a bind mount does not replace a file of the image', async () => {
    const { client } = await startAgent(
      example('rules/claimed-images.toml'),
      `mkdir -p ${shared}/vol ${shared}/evil && ln -s /bin ${shared}/vol/bin && cp -a ${rootfs}/bin/. ${shared}/evil/`,
    );
    const creation = request(`image-${process.pid}`, rootfs, ['/bin/id']);
    if (creation.OCI)
      creation.OCI.Annotations = { 'io.kubernetes.cri.image-name': 'registry.example.com/shop/web' };
    bind(creation, `${shared}/vol`, '/data', 'ro');
    bind(creation, `${shared}/evil`, '/data/bin', 'ro');
    const { code, message } = await answerOf(client.createContainer(creation));
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(
      message,
      /mount at "\/data\/bin": in the mount at "\/data", path "bin" leads out of its base/,
    );
  });

  it('CopyFile does not create a link in a root that a container uses', async () => {
    const id = `copied-${process.pid}`;
    const root = `${shared}/${id}/rootfs`;
    const { agent, client } = await startAgent(
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
    const stop = new AbortController();
    const replacing = (async () => {
      while (!stop.signal.aborted)
        await Promise.all(['/safe', '/proc/sys/fs/mqueue'].map((to) => link(`${root}/x`, to)));
    })();
    for (let count = 0; count < 40; count += 1) {
      const creation = request(id, root, ['true']);
      bind(creation, `${shared}/evil`, '/x');
      if (creation.OCI?.Linux) creation.OCI.Linux.Sysctl = { 'fs.mqueue.msg_max': '1' };
      const { code } = await answerOf(client.createContainer(creation));
      assert.equal(readSysctl(agent), '0', `written after ${count + 1} creates`);
      if (code !== 'OK') continue;
      const denied = await link(`${root}/y`, '/safe');
      assert.equal(denied.code, 'FAILED_PRECONDITION');
      await client.removeContainer({ containerId: id });
    }
    stop.abort();
    await replacing;
    assert.equal((await link(`${root}/y`, '/safe')).code, 'OK');
  });

  it('a root with a link in place of /dev, /proc or /sys, and a container without a tmpfs at /dev, are denied', async () => {
    const { agent, client } = await startAgent(
      example('minimal.toml'),
      `mkdir -p /run/of-the-guest && for name in dev proc sys; do root=${shared}/linked-$name-${process.pid}/rootfs; mkdir -p $root/run/of-the-guest && cp -a ${rootfs}/. $root/ && rmdir $root/$name && ln -s /run/of-the-guest $root/$name; done`,
    );
    for (const name of ['dev', 'proc', 'sys']) {
      const id = `linked-${name}-${process.pid}`;
      const creation = request(id, `${shared}/${id}/rootfs`, ['true']);
      const { code, message } = await answerOf(client.createContainer(creation));
      assert.equal(code, 'PERMISSION_DENIED');
      assert.match(message, new RegExp(`/${name} of the root ".*" is a link or a file`));
    }
    assert.deepEqual(readdirSync(`/proc/${agent.process.pid}/root/run/of-the-guest`), []);
    const creation = request(`no-dev-${process.pid}`, rootfs, ['true']);
    if (creation.OCI) creation.OCI.Mounts = creation.OCI.Mounts.filter(({ type }) => type === 'proc');
    const { code, message } = await answerOf(client.createContainer(creation));
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(message, /no tmpfs at \/dev/);
  });
});
