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

// Other tests cover the checks of the agent without rules.
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

/** The policy of the last test. */
const lastPolicy = '[api]\nblocked_endpoints = ["ExecProcess", "ReadStdout"]\n';

type Change = (spec: Spec) => void;

describe('rules see the values that take effect', {
  skip: whyNoContainers() ?? false,
}, () => {
  let directory = '';
  let rootfs = '';
  let agent: AgentProcess;
  let client: AgentConnection['agent'];
  let number = 0;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-reality-'));
    rootfs = makeRootfs(directory);
    agent = await AgentProcess.start({ config });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod' });
  });
  after(async () => {
    await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  async function assertRejected(change: Change, expected: RegExp): Promise<void> {
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

  it('a mount that runc would bind has type bind in rules, or is denied', async () => {
    for (const type of ['tmpfs', 'proc'])
      await assertRejected(mount(type, '/etc', ['rbind', 'ro']), /PERMISSION_DENIED: .*must be "bind"/);
    for (const type of ['bind', 'none', ''])
      await assertRejected(mount(type, '/etc', ['rbind']), /PERMISSION_DENIED: .*rule "binds"/);
  });

  it('an overlay mount cannot expose directories of the guest or the agent', async () => {
    await assertRejected(
      mount('overlay', 'overlay', ['lowerdir=/run/kata-agent:/etc']),
      /PERMISSION_DENIED: .*"overlay"/,
    );
  });

  it('a symbolic link from CopyFile cannot lead a bind mount out of the directory in a rule', async () => {
    await client.copyFile({
      path: `${shared}/link`,
      fileMode: 0o120777,
      data: Buffer.from('/etc'),
      uid: 0,
      gid: 0,
    });
    await assertRejected(mount('bind', `${shared}/link`, ['rbind']), /PERMISSION_DENIED: .*symbolic link/);
    await assertRejected(
      mount('bind', `${shared}/link/ssl`, ['rbind']),
      /PERMISSION_DENIED: .*symbolic link/,
    );
  });

  it('a device number that the kernel would truncate is rejected', async () => {
    const device = (Major: bigint): Change => {
      return ({ Linux }) =>
        Linux?.Devices.push(create(LinuxDeviceSchema, { Path: '/dev/m', Type: 'c', Major, Minor: 1n }));
    };
    await assertRejected(device(1n), /rule "no-memory"/);
    for (const major of [4097n, 2n ** 32n + 1n, 2n ** 53n + 1n, -4095n])
      await assertRejected(device(major), /INVALID_ARGUMENT: .*device number is out of range/);
  });

  it("a termination message is read only from directories for the host's files", async () => {
    const message = `${shared}/termination-message`;
    const data = Buffer.from('out of luck');
    await client.copyFile({ path: message, fileMode: 0o100666, fileSize: 11n, data, uid: 0, gid: 0 });
    const config = `/run/kata-containers/victim-${process.pid}/config.json`;
    const readTermination = async (name: string, type: string, source: string) => {
      const id = `${name}-${process.pid}`;
      const annotations = { 'io.kubernetes.container.terminationMessagePath': '/log' };
      const init = containerRequest({ id, rootfs, args: ['true'], annotations });
      const request = create(CreateContainerRequestSchema, init);
      const options = type === 'bind' ? ['rbind'] : [];
      request.OCI?.Mounts.push(create(MountSchema, { destination: '/log', type, source, options }));
      await client.createContainer(request);
      return client.getDiagnosticData({ containerId: id, logType: 'termination_log' });
    };
    assert.equal((await readTermination('victim', 'bind', message)).data, 'out of luck');
    assert.equal((await answerOf(readTermination('other', 'tmpfs', config))).code, 'INVALID_ARGUMENT');
    assert.equal(
      (await answerOf(readTermination('tmpfs', 'tmpfs', message))).code,
      'INVALID_ARGUMENT',
      'a mount of another type is not read',
    );
    for (const name of ['victim', 'other', 'tmpfs'])
      await client.removeContainer({ containerId: `${name}-${process.pid}` });
  });

  it('a rule that counts containers counts concurrent requests', async () => {
    const ids = [1, 2, 3, 4].map((each) => `few-${each}-${process.pid}`);
    const answers = await Promise.all(
      ids.map((id) => answerOf(client.createContainer(containerRequest({ id, rootfs, args: ['true'] })))),
    );
    const codes = answers.map(({ code }) => code).sort();
    assert.deepEqual(codes, ['OK', 'PERMISSION_DENIED', 'PERMISSION_DENIED', 'PERMISSION_DENIED']);
    assert.match(answers.map(({ message }) => message).join(), /rule "few"/);
    for (const id of ids) await answerOf(client.removeContainer({ containerId: id }));
  });

  it('the container ID of a denied request can be used', async () => {
    const id = `c1-${process.pid}`;
    await client.createContainer(containerRequest({ id, rootfs, args: ['sleep', '60'] }));
    await client.startContainer({ containerId: id });
    await client.execProcess({ containerId: id, execId: 'e', process: processRequest(['true']) });
    assert.equal((await client.waitProcess({ containerId: id, execId: 'e' })).status, 0);
  });

  it('a queued call that SetPolicy denies is not executed, and pending reads return no later output', async () => {
    const id = `last-${process.pid}`;
    await client.createContainer(containerRequest({ id, rootfs, args: ['cat'] }));
    await client.startContainer({ containerId: id });
    const reads = [1, 2, 3].map(() =>
      answerOf(client.readStdout({ containerId: id, execId: '', len: 4096 })),
    );
    // Changes of one container are made one after the other.
    const [slow, queued] = ['slow', 'late'].map((execId) =>
      answerOf(client.execProcess({ containerId: id, execId, process: processRequest(['true']) })),
    );
    await client.setPolicy({ policy: lastPolicy });
    assert.equal((await slow)?.code, 'OK');
    assert.equal((await queued)?.code, 'UNIMPLEMENTED');
    await client.writeStdin({ containerId: id, execId: '', data: Buffer.from('a secret') });
    await client.closeStdin({ containerId: id, execId: '' });
    assert.deepEqual(
      (await Promise.all(reads)).map(({ code }) => code),
      ['UNIMPLEMENTED', 'UNIMPLEMENTED', 'UNIMPLEMENTED'],
    );
    await agent.stop();
    // A call that was denied while it waited has an intent and this outcome; later calls were denied at once.
    const denials = agent
      .records()
      .filter((record) => record['kind'] !== 'intent' && /rule \\"few/.test(JSON.stringify(record)))
      .map((record) => Number(record['count'] ?? 1));
    assert.equal(
      denials.reduce((sum, count) => sum + count, 0),
      3,
    );
  });
});

const policies = '/run/kata-agent/policies.json';

describe('policies of SetPolicy after the agent is killed (S4, S20)', () => {
  const open = '[api]\nallowed_endpoints = ["*"]\n';

  it('the gate and the rules of the policies apply in the next agent before it listens', async () => {
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
      const file = join(killed.directory, 'kept');
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

  it('an agent with an invalid policies.json does not listen', async () => {
    const setup = `mkdir -p ${dirname(policies)} && echo '{' > ${policies}`;
    const { code, stderr } = await AgentProcess.run({ config: open, setup });
    assert.equal(code, 3);
    assert.match(stderr, /policies\.json: cannot read the policies of SetPolicy/);
  });
});
