import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  type Storage,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest } from '../harness/container-request.js';
import { repository } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

// A hostile host lets one container read and write the root of another one (docs/security.md, S29).

const kata = '/run/kata-containers';
const shared = `${kata}/shared/containers`;

type Client = AgentConnection['agent'];

interface Way {
  /** Where the victim's root lies: a copy of the image. */
  readonly root: (victim: string) => string;
  readonly sandboxStorages?: (victim: string) => Storage[];
  readonly storages?: (victim: string) => Storage[];
  /** What the attacker mounts at /x. */
  readonly source: (victim: string) => string;
  /** The victim's root as the attacker sees it. */
  readonly below: (victim: string) => string;
  readonly attackerFirst?: boolean;
}

interface More {
  readonly driverOptions?: string[];
  readonly options?: string[];
  readonly fsGroup?: { readonly groupId: number };
}

function storage(driver: string, source: string, mountPoint: string, more: More = {}): Storage {
  const fstype = driver === 'overlayfs' ? 'overlay' : 'bind';
  return create(StorageSchema, { ...more, driver, source, mountPoint, fstype });
}

const own = (victim: string): string => `${shared}/${victim}/rootfs`;
const bound = `${kata}/sandbox/storage/x`;

const ways: Readonly<Record<string, Way>> = {
  'a bind storage of the place where it will lie': {
    root: own,
    storages: (victim) => [storage('bind', own(victim), bound)],
    source: () => bound,
    below: () => '/x',
    attackerFirst: true,
  },
  'a bind storage of the sandbox': {
    root: own,
    sandboxStorages: (victim) => [storage('bind', `${shared}/${victim}`, bound, { options: ['rbind'] })],
    source: () => bound,
    below: () => '/x/rootfs',
  },
  'the directory of all': {
    root: (victim) => `${shared}/passthrough/${victim}/rootfs`,
    source: () => `${shared}/passthrough`,
    below: (victim) => `/x/${victim}/rootfs`,
  },
  'the directory above it in a directory that bears another name': {
    root: (victim) => `${shared}/images/${victim}/rootfs`,
    source: () => `${shared}/images`,
    below: (victim) => `/x/${victim}/rootfs`,
  },
  'its root, which does not bear its name': {
    root: () => `${shared}/image-one`,
    source: () => `${shared}/image-one`,
    below: () => '/x',
  },
};

describe('the root of another container', { skip: whyNoContainers() ?? false }, () => {
  let folder = '';
  let rootfs = '';
  let number = 0;
  const agents: AgentProcess[] = [];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-others-'));
    rootfs = makeRootfs(folder);
  });
  after(async () => {
    for (const agent of agents) await agent.dispose();
    rmSync(folder, { recursive: true });
  });

  const config = readFileSync(join(repository, 'examples', 'minimal.toml'), 'utf8');

  async function pod(
    setup: string,
    storages: Storage[] = [],
    text = config,
  ): Promise<{ agent: AgentProcess; client: Client }> {
    const agent = await AgentProcess.start({ config: text, setup });
    agents.push(agent);
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod', storages });
    return { agent, client };
  }

  function names(): { readonly victim: string; readonly attacker: string } {
    number += 1;
    return { victim: `victim${number}-${process.pid}`, attacker: `attacker${number}-${process.pid}` };
  }

  function request(id: string, root: string, script: string): CreateContainerRequest {
    const args = ['sh', '-c', script];
    return create(CreateContainerRequestSchema, containerRequest({ id, rootfs: root, args }));
  }

  function bind(made: CreateContainerRequest, source: string, destination: string): CreateContainerRequest {
    const mount = create(MountSchema, { type: 'bind', destination, source, options: ['rbind', 'rw'] });
    made.OCI?.Mounts.push(mount);
    return made;
  }

  async function start(client: Client, made: CreateContainerRequest): Promise<void> {
    await client.createContainer(made);
    await client.startContainer({ containerId: made.containerId });
  }

  const copyTo = (root: string): string => `mkdir -p ${root} && cp -a ${rootfs}/. ${root}/`;

  for (const [name, way] of Object.entries(ways)) {
    for (const propagation of ['private', 'shared']) {
      it(`is not reached by ${name} (mounts ${propagation})`, async () => {
        const { victim, attacker } = names();
        const { root, storages, sandboxStorages, attackerFirst } = way;
        const setup = `mount --make-r${propagation} / && ${copyTo(root(victim))}`;
        const { client } = await pod(setup, sandboxStorages?.(victim));
        const below = way.below(victim);
        const first = request(victim, root(victim), 'echo secret > /secret; sleep 60');
        const script = `while ! cat ${below}/secret; do sleep 0.1; done; exit 77`;
        const second = bind(request(attacker, rootfs, script), way.source(victim), '/x');
        second.storages = storages?.(victim) ?? [];
        const answers = [];
        for (const made of attackerFirst === true ? [second, first] : [first, second])
          answers.push(await answerOf(start(client, made)));
        const codes = answers.map(({ code }) => code);
        if (codes.every((code) => code === 'OK')) {
          const { status } = await client.waitProcess({ containerId: attacker, execId: '' });
          assert.notEqual(status, 77, 'the attacker read a file of the victim');
        }
        assert.ok(codes.includes('PERMISSION_DENIED'), JSON.stringify(answers));
      });
    }
  }

  it('is no more there for others when the container has gone', async () => {
    const { victim, attacker } = names();
    const root = own(victim);
    const { client } = await pod(copyTo(root));
    await start(client, request(victim, root, 'echo secret > /secret'));
    await client.waitProcess({ containerId: victim, execId: '' });
    await client.removeContainer({ containerId: victim });
    for (const source of [root, `${root}/etc`]) {
      const made = bind(request(attacker, rootfs, 'true'), source, '/x');
      const { code } = await answerOf(client.createContainer(made));
      assert.equal(code, 'PERMISSION_DENIED', source);
    }
  });

  it('is not there for others either when its place is no directory of its own, or in a local volume', async () => {
    for (const [root, made, source] of [
      [(victim: string) => `${shared}/${victim}`, undefined, (victim: string) => `${shared}/${victim}`],
      [own, `${shared}/image`, () => `${shared}/image`],
      [own, undefined, (victim: string) => `${own(victim)}/local/data`],
    ] as const) {
      const { victim, attacker } = names();
      const place = made ?? root(victim);
      const { client } = await pod(`${copyTo(place)} && mkdir -p ${place}/local/data`);
      const first = request(victim, root(victim), 'echo secret > /secret');
      if (made !== undefined) first.storages = [storage('bind', made, root(victim))];
      await start(client, first);
      await client.waitProcess({ containerId: victim, execId: '' });
      await client.removeContainer({ containerId: victim });
      const second = bind(request(attacker, rootfs, 'true'), source(victim), '/x');
      const { code } = await answerOf(client.createContainer(second));
      assert.equal(code, 'PERMISSION_DENIED', source(victim));
      // The same container again may have it.
      await client.createContainer(first);
    }
  });

  it('holds no volume of another one when the pod’s first container is made again', async () => {
    const { victim, attacker } = names();
    const { client } = await pod(copyTo(own(attacker)));
    const first = (script: string): CreateContainerRequest => request(attacker, own(attacker), script);
    await start(client, first('exit 0'));
    const local = `${own(attacker)}/local/data`;
    const second = bind(request(victim, rootfs, 'echo secret > /data/secret; sleep 60'), local, '/data');
    second.storages = [
      create(StorageSchema, {
        driver: 'local',
        source: 'local',
        fstype: 'local',
        options: ['mode=0777'],
        mountPoint: local,
      }),
    ];
    await start(client, second);
    await client.waitProcess({ containerId: attacker, execId: '' });
    await client.removeContainer({ containerId: attacker });
    await start(
      client,
      first(
        'while [ -e /local ] && ! [ -e /local/data ]; do sleep 0.1; done; cat /local/data/secret && exit 77; exit 0',
      ),
    );
    const { status } = await client.waitProcess({ containerId: attacker, execId: '' });
    assert.equal(status, 0);
  });

  it('is not made in a volume of the pod, which others have', async () => {
    const volume = `${kata}/sandbox/ephemeral/volume`;
    const { victim, attacker } = names();
    const { agent, client } = await pod(copyTo(`${shared}/image`));
    const first = bind(request(attacker, rootfs, 'sleep 60'), volume, '/volume');
    first.storages = [
      create(StorageSchema, { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mountPoint: volume }),
    ];
    await start(client, first);
    cpSync(rootfs, `/proc/${agent.process.pid}/root${volume}/image`, {
      recursive: true,
      verbatimSymlinks: true,
    });
    const directory = 'io.katacontainers.volume.overlayfs.create_directory';
    for (const made of [
      storage('bind', `${volume}/image`, own(victim)),
      storage('overlayfs', 'overlay', own(victim), {
        driverOptions: [`${directory}=${volume}/up`, `${directory}=${volume}/work`],
        options: [`lowerdir=${shared}/image`, `upperdir=${volume}/up`, `workdir=${volume}/work`],
      }),
    ]) {
      const second = request(victim, own(victim), 'true');
      second.storages = [made];
      const { code, message } = await answerOf(client.createContainer(second));
      assert.equal(code, 'PERMISSION_DENIED');
      assert.match(message, /lies in a volume of the pod/);
    }
  });

  it('is not written by CopyFile, however its path is spelt', async () => {
    const { victim } = names();
    const { client } = await pod(copyTo(own(victim)), [], config.replace('"@pod"', '"@pod", "@copy"'));
    await start(client, request(victim, own(victim), 'sleep 60'));
    const data = new TextEncoder().encode('x');
    for (const path of [
      `${shared}/${victim}/rootfs/f`,
      `${shared}/./${victim}//rootfs/f`,
      `${shared}/${victim}/./rootfs/f`,
    ]) {
      const copy = {
        path,
        fileSize: 1n,
        fileMode: 0o100644,
        dirMode: 0o755,
        uid: 0,
        gid: 0,
        offset: 0n,
        data,
      };
      assert.equal((await answerOf(client.copyFile(copy))).code, 'FAILED_PRECONDITION', path);
    }
  });

  it('is not changed by a create that is refused', async () => {
    const { victim, attacker } = names();
    const root = own(victim);
    const { agent, client } = await pod(copyTo(root));
    await start(client, request(victim, root, 'sleep 60'));
    const made = request(attacker, rootfs, 'true');
    const directory = 'io.katacontainers.volume.overlayfs.create_directory';
    made.storages = [
      storage('overlayfs', 'overlay', `${kata}/${attacker}/rootfs`, {
        driverOptions: [`${shared}/left/over/a`, `${root}/etc/made`].map((path) => `${directory}=${path}`),
        options: [`lowerdir=${shared}`, `upperdir=${shared}/left/over/a`, `workdir=${root}/etc/made`],
      }),
    ];
    const { code } = await answerOf(client.createContainer(made));
    assert.equal(code, 'PERMISSION_DENIED');
    const proc = `/proc/${agent.process.pid}/root`;
    const paths = [`${root}/etc/made`, `${shared}/left`];
    assert.deepEqual(
      paths.filter((path) => existsSync(proc + path)),
      [],
    );
  });

  it('has the owners and rights of its files when a create is refused', async () => {
    const { victim, attacker } = names();
    const { agent, client } = await pod(`mkdir -p ${shared}/volume && echo x > ${shared}/volume/file`);
    await start(client, bind(request(victim, rootfs, 'sleep 60'), `${shared}/volume`, '/volume'));
    const made = request(attacker, rootfs, 'true');
    made.storages = [storage('bind', `${shared}/volume`, bound, { fsGroup: { groupId: 4242 } })];
    const { code } = await answerOf(client.createContainer(made));
    assert.equal(code, 'PERMISSION_DENIED');
    const { gid, mode } = statSync(`/proc/${agent.process.pid}/root${shared}/volume/file`);
    assert.deepEqual([gid, mode & 0o777], [0, 0o644]);
  });

  it('is not reached by a file of its own, under the name that the runtimes give it', async () => {
    const { victim, attacker } = names();
    const { agent, client } = await pod(`mkdir -p ${shared}/${victim}-0123456789abcdef-config`);
    const file = `${shared}/${victim}-0123456789abcdef-hosts`;
    writeFileSync(`/proc/${agent.process.pid}/root${file}`, 'secret');
    await start(client, bind(request(victim, rootfs, 'sleep 60'), file, '/hosts'));
    const { code, message } = await answerOf(
      client.createContainer(bind(request(attacker, rootfs, 'true'), file, '/hosts')),
    );
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(message, new RegExp(`is a place of container ${victim}`));
    // Without a shared file system runtime-rs copies a directory once, under the name of the first container that mounts it.
    const directory = `${shared}/${victim}-0123456789abcdef-config`;
    await start(client, bind(request(attacker, rootfs, 'true'), directory, '/config'));
  });
});
