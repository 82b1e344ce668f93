import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { LinuxDeviceSchema, MountSchema, type Spec } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const shared = '/run/kata-containers/shared/containers';

// What the agent itself refuses of this is tested elsewhere.
const config = `[agent]
privileged_containers = "allow"

[api]
allowed_endpoints = ["*"]

[[api.rule]]
name = "binds"
endpoints = ["CreateContainer"]
expression = 'mounts.all(mount, mount.type != "bind" || mount.source.within("${shared}"))'

[[api.rule]]
name = "no-memory"
endpoints = ["CreateContainer"]
expression = 'devices.all(device, device.Major != 1)'

[[api.rule]]
name = "few"
endpoints = ["CreateContainer"]
expression = '!container.id.startsWith("few") || !sandbox.containers.exists(id, id.startsWith("few"))'
`;

/** The last word of SetPolicy here. */
const closing = '[api]\nblocked_endpoints = ["ExecProcess", "ReadStdout"]\n';

type Change = (spec: Spec) => void;

describe('what a rule has looked at is what is done', { skip: whyNoContainers() ?? false }, () => {
  let folder = '';
  let rootfs = '';
  let agent: AgentProcess;
  let client: AgentConnection['agent'];
  let number = 0;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-reality-'));
    rootfs = makeRootfs(folder);
    agent = await AgentProcess.start({ config });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod' });
  });
  after(async () => {
    await agent.dispose();
    rmSync(folder, { recursive: true });
  });

  async function refused(change: Change, expected: RegExp): Promise<void> {
    number += 1;
    const init = containerRequest({ id: `c${number}-${process.pid}`, rootfs, args: ['true'] });
    const request = create(CreateContainerRequestSchema, init);
    if (request.OCI !== undefined) change(request.OCI);
    const { code, message } = await answerOf(client.createContainer(request));
    assert.match(`${code}: ${message}`, expected);
  }

  const mount = (type: string, source: string, options: string[]): Change => {
    return ({ Mounts }) => Mounts.push(create(MountSchema, { destination: '/m', type, source, options }));
  };

  it('a mount that runc would bind calls itself one', async () => {
    for (const type of ['tmpfs', 'proc', 'none', ''])
      await refused(mount(type, '/etc', ['rbind', 'ro']), /PERMISSION_DENIED: .*must be "bind"/);
    await refused(mount('bind', '/etc', ['rbind']), /PERMISSION_DENIED: .*rule "binds"/);
  });

  it('an overlay does not bring folders of the guest, least of all the agent’s own', async () => {
    await refused(
      mount('overlay', 'overlay', ['lowerdir=/run/kata-agent:/etc']),
      /PERMISSION_DENIED: .*"overlay"/,
    );
  });

  it('a link that CopyFile made leads no mount out of the folder that the rule names', async () => {
    await client.copyFile({
      path: `${shared}/link`,
      fileMode: 0o120777,
      data: Buffer.from('/etc'),
      uid: 0,
      gid: 0,
    });
    await refused(mount('bind', `${shared}/link`, ['rbind']), /PERMISSION_DENIED: .*symbolic link/);
    await refused(mount('bind', `${shared}/link/ssl`, ['rbind']), /PERMISSION_DENIED: .*symbolic link/);
  });

  it('a device has the numbers that it is asked by', async () => {
    const device = (Major: bigint): Change => {
      return ({ Linux }) =>
        Linux?.Devices.push(create(LinuxDeviceSchema, { Path: '/dev/m', Type: 'c', Major, Minor: 1n }));
    };
    await refused(device(1n), /rule "no-memory"/);
    for (const major of [4097n, 2n ** 32n + 1n, 2n ** 53n + 1n, -4095n])
      await refused(device(major), /INVALID_ARGUMENT: .*no such device number/);
  });

  it('a termination message is read where the host has files of its own, and nowhere else', async () => {
    const message = `${shared}/last-words`;
    const data = Buffer.from('out of luck');
    await client.copyFile({ path: message, fileMode: 0o100666, fileSize: 11n, data, uid: 0, gid: 0 });
    const config = `/run/kata-containers/victim-${process.pid}/config.json`;
    const words = async (name: string, type: string, source: string) => {
      const id = `${name}-${process.pid}`;
      const annotations = { 'io.kubernetes.container.terminationMessagePath': '/log' };
      const init = containerRequest({ id, rootfs, args: ['true'], annotations });
      const request = create(CreateContainerRequestSchema, init);
      const options = type === 'bind' ? ['rbind'] : [];
      request.OCI?.Mounts.push(create(MountSchema, { destination: '/log', type, source, options }));
      await client.createContainer(request);
      return client.getDiagnosticData({ containerId: id, logType: 'termination_log' });
    };
    assert.equal((await words('victim', 'bind', message)).data, 'out of luck');
    assert.equal((await answerOf(words('thief', 'tmpfs', config))).code, 'INVALID_ARGUMENT');
    assert.equal(
      (await answerOf(words('sly', 'tmpfs', message))).code,
      'INVALID_ARGUMENT',
      'not by its type',
    );
    for (const name of ['victim', 'thief', 'sly'])
      await client.removeContainer({ containerId: `${name}-${process.pid}` });
  });

  it('a rule that counts containers counts those that were asked for at the same time', async () => {
    const ids = [1, 2, 3, 4].map((each) => `few-${each}-${process.pid}`);
    const answers = await Promise.all(
      ids.map((id) => answerOf(client.createContainer(containerRequest({ id, rootfs, args: ['true'] })))),
    );
    const codes = answers.map(({ code }) => code).sort();
    assert.deepEqual(codes, ['OK', 'PERMISSION_DENIED', 'PERMISSION_DENIED', 'PERMISSION_DENIED']);
    assert.match(answers.map(({ message }) => message).join(), /rule "few"/);
    for (const id of ids) await answerOf(client.removeContainer({ containerId: id }));
  });

  it('all that was refused left nothing: the same ids can be had', async () => {
    const id = `c1-${process.pid}`;
    await client.createContainer(containerRequest({ id, rootfs, args: ['sleep', '60'] }));
    await client.startContainer({ containerId: id });
    await client.execProcess({ containerId: id, execId: 'e', process: processRequest(['true']) });
    assert.equal((await client.waitProcess({ containerId: id, execId: 'e' })).status, 0);
  });

  it('nothing that waited while SetPolicy refused it is done, and no output that came later is read', async () => {
    const id = `last-${process.pid}`;
    await client.createContainer(containerRequest({ id, rootfs, args: ['cat'] }));
    await client.startContainer({ containerId: id });
    const reads = [1, 2, 3].map(() =>
      answerOf(client.readStdout({ containerId: id, execId: '', len: 4096 })),
    );
    const slow = answerOf(
      client.createContainer(containerRequest({ id: `slow-${process.pid}`, rootfs, args: ['true'] })),
    );
    const late = answerOf(
      client.execProcess({ containerId: id, execId: 'late', process: processRequest(['true']) }),
    );
    await client.setPolicy({ policy: closing });
    assert.equal((await slow).code, 'OK');
    assert.equal((await late).code, 'UNIMPLEMENTED');
    await client.writeStdin({ containerId: id, execId: '', data: Buffer.from('a secret') });
    await client.closeStdin({ containerId: id, execId: '' });
    assert.deepEqual(
      (await Promise.all(reads)).map(({ code }) => code),
      ['UNIMPLEMENTED', 'UNIMPLEMENTED', 'UNIMPLEMENTED'],
    );
    await agent.stop();
    // What was let through at first has an intent and this outcome; one that came later was refused at once.
    const refusals = agent
      .records()
      .filter((record) => record['kind'] !== 'intent' && /rule \\"few/.test(JSON.stringify(record)))
      .map((record) => Number(record['count'] ?? 1));
    assert.equal(
      refusals.reduce((sum, count) => sum + count, 0),
      3,
    );
  });
});

const policies = '/run/kata-agent/policies.json';

describe('what SetPolicy refused stays refused when the agent is killed (S4, S20)', () => {
  const open = '[api]\nallowed_endpoints = ["*"]\n';

  it('by lists and by rules, before the next agent listens', async () => {
    const killed = await AgentProcess.start({ config: open });
    const next: AgentProcess[] = [];
    try {
      const { agent: first } = await killed.connect();
      await first.setPolicy({ policy: '[api]\nblocked_endpoints = ["GetMetrics"]\n' });
      await first.setPolicy({
        policy: '[[api.rule]]\nname = "r"\nendpoints = ["GetGuestDetails"]\nexpression = "false"\n',
      });
      assert.equal(
        (await answerOf(first.setPolicy({ policy: '[api]\nstrict = true' }))).code,
        'INVALID_ARGUMENT',
      );
      const kept = readFileSync(`/proc/${killed.process.pid}/root${policies}`, 'utf8');
      assert.doesNotMatch(kept, /strict/);
      const file = join(killed.folder, 'kept');
      writeFileSync(file, kept);
      killed.process.kill('SIGKILL');
      await killed.exited;
      const setup = `mkdir -p ${dirname(policies)} && cp ${file} ${policies}`;
      const agent = await AgentProcess.start({ config: open, setup });
      next.push(agent);
      const { agent: second } = await agent.connect();
      assert.equal((await answerOf(second.getMetrics({}))).code, 'UNIMPLEMENTED');
      assert.equal((await answerOf(second.getGuestDetails({}))).code, 'PERMISSION_DENIED');
      assert.equal((await answerOf(second.listInterfaces({}))).code, 'OK');
    } finally {
      for (const agent of [killed, ...next]) await agent.dispose();
    }
  });

  it('and an agent that cannot tell does not listen', async () => {
    const setup = `mkdir -p ${dirname(policies)} && echo '{' > ${policies}`;
    const { code, stderr } = await AgentProcess.run({ config: open, setup });
    assert.equal(code, 3);
    assert.match(stderr, /policies\.json does not tell what SetPolicy refused/);
  });
});
