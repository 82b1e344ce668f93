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

// A hostile host tries to let one container read and write the root of another one (docs/security.md, S29).

const kata = '/run/kata-containers';
const shared = `${kata}/shared/containers`;

type Client = AgentConnection['agent'];

interface Attack {
  /** The root of the victim: a copy of the image. */
  readonly root: (victim: string) => string;
  readonly sandboxStorages?: (victim: string) => Storage[];
  readonly storages?: (victim: string) => Storage[];
  /** The source of the attacker's mount at /x. */
  readonly source: (victim: string) => string;
  /** The victim's root as the attacker sees it. */
  readonly victimRoot: (victim: string) => string;
  readonly attackerFirst?: boolean;
}

interface StorageOptions {
  readonly driverOptions?: string[];
  readonly options?: string[];
  readonly fsGroup?: { readonly groupId: number };
}

function storage(driver: string, source: string, mountPoint: string, more: StorageOptions = {}): Storage {
  const fstype = driver === 'overlayfs' ? 'overlay' : 'bind';
  return create(StorageSchema, { ...more, driver, source, mountPoint, fstype });
}

const ownRoot = (victim: string): string => `${shared}/${victim}/rootfs`;
const bound = `${kata}/sandbox/storage/x`;

const attacks: Readonly<Record<string, Attack>> = {
  'a bind storage of the future mount point': {
    root: ownRoot,
    storages: (victim) => [storage('bind', ownRoot(victim), bound)],
    source: () => bound,
    victimRoot: () => '/x',
    attackerFirst: true,
  },
  'a bind storage of the sandbox': {
    root: ownRoot,
    sandboxStorages: (victim) => [storage('bind', `${shared}/${victim}`, bound, { options: ['rbind'] })],
    source: () => bound,
    victimRoot: () => '/x/rootfs',
  },
  'the parent directory of all container directories': {
    root: (victim) => `${shared}/passthrough/${victim}/rootfs`,
    source: () => `${shared}/passthrough`,
    victimRoot: (victim) => `/x/${victim}/rootfs`,
  },
  'the parent directory of roots below another directory': {
    root: (victim) => `${shared}/images/${victim}/rootfs`,
    source: () => `${shared}/images`,
    victimRoot: (victim) => `/x/${victim}/rootfs`,
  },
  'a root that is not named after its container': {
    root: () => `${shared}/image-one`,
    source: () => `${shared}/image-one`,
    victimRoot: () => '/x',
  },
};

describe('isolation of the root of a container', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let number = 0;
  const agents: AgentProcess[] = [];
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-others-'));
    rootfs = makeRootfs(directory);
  });
  after(async () => {
    for (const agent of agents) await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  const config = readFileSync(join(repository, 'examples', 'minimal.toml'), 'utf8');

  async function startPod(
    setup: string,
    storages: Storage[] = [],
    text: string | null = config,
  ): Promise<{ agent: AgentProcess; client: Client }> {
    const agent = await AgentProcess.start({ ...(text === null ? {} : { config: text }), setup });
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

  function bind(
    creation: CreateContainerRequest,
    source: string,
    destination: string,
  ): CreateContainerRequest {
    const mount = create(MountSchema, { type: 'bind', destination, source, options: ['rbind', 'rw'] });
    creation.OCI?.Mounts.push(mount);
    return creation;
  }

  async function start(client: Client, creation: CreateContainerRequest): Promise<void> {
    await client.createContainer(creation);
    await client.startContainer({ containerId: creation.containerId });
  }

  const copyTo = (root: string): string => `mkdir -p ${root} && cp -a ${rootfs}/. ${root}/`;

  for (const [name, attack] of Object.entries(attacks)) {
    for (const propagation of ['private', 'shared']) {
      it(`another container does not reach a root through ${name} (mounts: ${propagation})`, async () => {
        const { victim, attacker } = names();
        const { root, storages, sandboxStorages, attackerFirst } = attack;
        const setup = `mount --make-r${propagation} / && ${copyTo(root(victim))}`;
        const { client } = await startPod(setup, sandboxStorages?.(victim));
        const victimRoot = attack.victimRoot(victim);
        const first = request(victim, root(victim), 'echo secret > /secret; sleep 60');
        const script = `while ! cat ${victimRoot}/secret; do sleep 0.1; done; exit 77`;
        const second = bind(request(attacker, rootfs, script), attack.source(victim), '/x');
        second.storages = storages?.(victim) ?? [];
        const answers = [];
        for (const creation of attackerFirst === true ? [second, first] : [first, second])
          answers.push(await answerOf(start(client, creation)));
        const codes = answers.map(({ code }) => code);
        if (codes.every((code) => code === 'OK')) {
          const { status } = await client.waitProcess({ containerId: attacker, execId: '' });
          assert.notEqual(status, 77, 'the attacker read a file of the victim');
        }
        assert.ok(codes.includes('PERMISSION_DENIED'), JSON.stringify(answers));
      });
    }
  }

  it('another container cannot mount the root of a removed container', async () => {
    const { victim, attacker } = names();
    const root = ownRoot(victim);
    const { client } = await startPod(copyTo(root));
    await start(client, request(victim, root, 'echo secret > /secret'));
    await client.waitProcess({ containerId: victim, execId: '' });
    await client.removeContainer({ containerId: victim });
    for (const source of [root, `${root}/etc`]) {
      const creation = bind(request(attacker, rootfs, 'true'), source, '/x');
      const { code } = await answerOf(client.createContainer(creation));
      assert.equal(code, 'PERMISSION_DENIED', source);
    }
  });

  it('another container cannot mount the root of a removed container outside of its directory, or a local volume in it', async () => {
    for (const [root, image, source] of [
      [(victim: string) => `${shared}/${victim}`, undefined, (victim: string) => `${shared}/${victim}`],
      [ownRoot, `${shared}/image`, () => `${shared}/image`],
      [ownRoot, undefined, (victim: string) => `${ownRoot(victim)}/local/data`],
    ] as const) {
      const { victim, attacker } = names();
      const path = image ?? root(victim);
      const { client } = await startPod(`${copyTo(path)} && mkdir -p ${path}/local/data`);
      const first = request(victim, root(victim), 'echo secret > /secret');
      if (image !== undefined) first.storages = [storage('bind', image, root(victim))];
      await start(client, first);
      await client.waitProcess({ containerId: victim, execId: '' });
      await client.removeContainer({ containerId: victim });
      const second = bind(request(attacker, rootfs, 'true'), source(victim), '/x');
      const { code } = await answerOf(client.createContainer(second));
      assert.equal(code, 'PERMISSION_DENIED', source(victim));
      assert.equal((await answerOf(client.createContainer(first))).code, 'ALREADY_EXISTS');
    }
  });

  it('the first container of the pod, created again, does not see a local volume of another container in its root', async () => {
    const { victim, attacker } = names();
    // With a configuration its id is not given again.
    const { client } = await startPod(copyTo(ownRoot(attacker)), [], null);
    const first = (script: string): CreateContainerRequest => request(attacker, ownRoot(attacker), script);
    await start(client, first('exit 0'));
    const local = `${ownRoot(attacker)}/local/data`;
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

  it('a root in a volume of the pod is denied', async () => {
    const volume = `${kata}/sandbox/ephemeral/volume`;
    const { victim, attacker } = names();
    const { agent, client } = await startPod(copyTo(`${shared}/image`));
    const first = bind(request(attacker, rootfs, 'sleep 60'), volume, '/volume');
    first.storages = [
      create(StorageSchema, { driver: 'ephemeral', source: 'tmpfs', fstype: 'tmpfs', mountPoint: volume }),
    ];
    await start(client, first);
    cpSync(rootfs, `/proc/${agent.process.pid}/root${volume}/image`, {
      recursive: true,
      verbatimSymlinks: true,
    });
    const createDirectory = 'io.katacontainers.volume.overlayfs.create_directory';
    for (const rootStorage of [
      storage('bind', `${volume}/image`, ownRoot(victim)),
      storage('overlayfs', 'overlay', ownRoot(victim), {
        driverOptions: [`${createDirectory}=${volume}/up`, `${createDirectory}=${volume}/work`],
        options: [`lowerdir=${shared}/image`, `upperdir=${volume}/up`, `workdir=${volume}/work`],
      }),
    ]) {
      const second = request(victim, ownRoot(victim), 'true');
      second.storages = [rootStorage];
      const { code, message } = await answerOf(client.createContainer(second));
      assert.equal(code, 'PERMISSION_DENIED');
      assert.match(message, /lies in a volume of the pod/);
    }
  });

  it('CopyFile does not write into the root of a container, however the path is written', async () => {
    const { victim } = names();
    const { client } = await startPod(
      copyTo(ownRoot(victim)),
      [],
      config.replace('"@pod"', '"@pod", "@copy"'),
    );
    await start(client, request(victim, ownRoot(victim), 'sleep 60'));
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

  it('a denied CreateContainer creates no directory in the root of another container', async () => {
    const { victim, attacker } = names();
    const root = ownRoot(victim);
    const { agent, client } = await startPod(copyTo(root));
    await start(client, request(victim, root, 'sleep 60'));
    const creation = request(attacker, rootfs, 'true');
    const createDirectory = 'io.katacontainers.volume.overlayfs.create_directory';
    creation.storages = [
      storage('overlayfs', 'overlay', `${kata}/${attacker}/rootfs`, {
        driverOptions: [`${shared}/left/over/a`, `${root}/etc/made`].map(
          (path) => `${createDirectory}=${path}`,
        ),
        options: [`lowerdir=${shared}`, `upperdir=${shared}/left/over/a`, `workdir=${root}/etc/made`],
      }),
    ];
    const { code } = await answerOf(client.createContainer(creation));
    assert.equal(code, 'PERMISSION_DENIED');
    const proc = `/proc/${agent.process.pid}/root`;
    const paths = [`${root}/etc/made`, `${shared}/left`];
    assert.deepEqual(
      paths.filter((path) => existsSync(proc + path)),
      [],
    );
  });

  it('a denied CreateContainer does not change owners and modes of files of another container', async () => {
    const { victim, attacker } = names();
    const { agent, client } = await startPod(`mkdir -p ${shared}/volume && echo x > ${shared}/volume/file`);
    await start(client, bind(request(victim, rootfs, 'sleep 60'), `${shared}/volume`, '/volume'));
    const creation = request(attacker, rootfs, 'true');
    creation.storages = [storage('bind', `${shared}/volume`, bound, { fsGroup: { groupId: 4242 } })];
    const { code } = await answerOf(client.createContainer(creation));
    assert.equal(code, 'PERMISSION_DENIED');
    const { gid, mode } = statSync(`/proc/${agent.process.pid}/root${shared}/volume/file`);
    assert.deepEqual([gid, mode & 0o777], [0, 0o644]);
  });

  it('another container cannot mount a file that the runtimes name after its container', async () => {
    const { victim, attacker } = names();
    const { agent, client } = await startPod(`mkdir -p ${shared}/${victim}-0123456789abcdef-config`);
    const file = `${shared}/${victim}-0123456789abcdef-hosts`;
    writeFileSync(`/proc/${agent.process.pid}/root${file}`, 'secret');
    await start(client, bind(request(victim, rootfs, 'sleep 60'), file, '/hosts'));
    const { code, message } = await answerOf(
      client.createContainer(bind(request(attacker, rootfs, 'true'), file, '/hosts')),
    );
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(message, new RegExp(`is a place of container ${victim}`));
    // Without a shared file system runtime-rs copies a directory once, named after the first container that mounts it.
    const copied = `${shared}/${victim}-0123456789abcdef-config`;
    await start(client, bind(request(attacker, rootfs, 'true'), copied, '/config'));
  });
});
