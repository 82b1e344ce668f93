import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { membersOf, methodNames } from '@kata-agent/catalogue';
import { AgentService, type CreateContainerRequest, StorageSchema } from '@kata-agent/protocol/agent';
import { HooksSchema, MountSchema } from '@kata-agent/protocol/oci';
import { repository } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';
import { sideChannelPorts } from './side-channel-configuration.js';
import { container, ext4Disk, rootDirectory } from './hotplug.js';
import { boot, dial, imageOf, poweredOff, shell, whyNoMachine } from './machine.js';
import { runningGuest } from './running-guest.js';
import { verifiedRecord } from './verified-record.js';

const skip = whyNoMachine() ?? false;
const shared = '/run/kata-containers/shared/containers';
/** Side channels, which the kernel command line requests, and a log of all calls. */
const kernelWords = [
  'agent.debug_console',
  `agent.debug_console_vport=${sideChannelPorts['debug console']}`,
  `agent.log_vport=${sideChannelPorts.log}`,
  `agent.passfd_listener_port=${sideChannelPorts.stdio}`,
  'agent.log=trace',
];
const ignoredSettings = [
  'debug_console',
  'debug_console_vport',
  'log_vport',
  'passfd_listener_port',
  'log_level',
];

const served: ReadonlySet<string> = new Set([...membersOf('@pod', '4.1'), ...membersOf('@copy', '4.1')]);

describe('a confidential guest: the host runs the pod, and nothing else', { skip }, () => {
  const guest = runningGuest('confidential', async (directory) => {
    const config = join(repository, 'examples', 'confidential.toml');
    return boot(await imageOf('confidential', { config }), directory, {
      disks: [ext4Disk(directory, 'rootfs', rootDirectory(directory, 'root'))],
      append: kernelWords,
    });
  });

  /** A container whose root is on the machine's disk, and which sees the file that the host copied. */
  function workload(id: string, script: string): CreateContainerRequest {
    const root = `/run/kata-containers/${id}/rootfs`;
    const request = container(id, script, { root });
    const disk = { driver: 'blk', source: '10', fstype: 'ext4', mountPoint: root };
    request.storages.push(create(StorageSchema, disk));
    request.OCI?.Mounts.push(
      create(MountSchema, {
        destination: '/etc/resolv.conf',
        type: 'bind',
        source: `${shared}/pod-resolv.conf`,
        options: ['rbind', 'ro'],
      }),
    );
    return request;
  }

  it('runs a container as a runtime does', async () => {
    await guest.agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    await guest.agent.getGuestDetails({ memBlockSize: true });
    const data = Buffer.from('nameserver 10.0.0.1\n');
    await guest.agent.copyFile({
      path: `${shared}/pod-resolv.conf`,
      fileSize: BigInt(data.length),
      fileMode: 0o100644,
      dirMode: 0o755,
      data,
    });
    const seesFile = 'test "$(cat /etc/resolv.conf)" = "nameserver 10.0.0.1"';
    const script = `${seesFile} && yes secret | head -n 200000 && read line; exit 7`;
    await guest.agent.createContainer(workload('pod', script));
    await guest.agent.startContainer({ containerId: 'pod' });
  });

  it('answers UNIMPLEMENTED to all methods outside of its lists', async () => {
    const calls = guest.agent as unknown as Readonly<Record<string, (request: object) => Promise<unknown>>>;
    const about = { containerId: 'pod', execId: 'pod' };
    for (const name of methodNames) {
      if (served.has(name) || name === 'ReadStdout' || name === 'ReadStderr') continue;
      const method = AgentService.methods.find((one) => one.name === name);
      assert.ok(method, name);
      const known = Object.entries(about).filter(([field]) =>
        method.input.fields.some(({ localName }) => localName === field),
      );
      const answer = await answerOf(
        calls[method.localName]?.(Object.fromEntries(known)) ?? Promise.resolve(),
      );
      assert.equal(answer.code, 'UNIMPLEMENTED', name);
      // The image's bundle has no code for methods that its configuration never serves.
      assert.equal(answer.message, `${name} is not served here: its handler was left out of this build`);
    }
  });

  it('returns end of file to readers, and cannot be widened', async () => {
    for (const read of [guest.agent.readStdout, guest.agent.readStderr])
      assert.equal((await read({ containerId: 'pod', execId: 'pod', len: 100 })).data.length, 0);
    // Unread output is drained, so that the workload continues, and the last of it stays in the guest.
    // A file that has grown is rotated: for a moment it may be missing.
    const look = 'cat /run/kata-agent/output/*stdout* 2>/dev/null | grep -m 1 -x secret';
    const kept = `for n in $(seq 300); do ${look} && exit 0; sleep 0.1; done; exit 1`;
    assert.equal((await shell(guest.machine, kept)).trim(), 'secret');
    const policy = '[api]\nallowed_endpoints = ["*"]\n';
    assert.equal((await answerOf(guest.agent.setPolicy({ policy }))).code, 'UNIMPLEMENTED');
  });

  it('has no side channel, whatever the kernel command line requests (S21, S22)', async () => {
    for (const port of Object.values(sideChannelPorts))
      await assert.rejects(dial(guest.machine, port), { message: 'ECONNRESET' }, `port ${port}`);
  });

  it('answers PERMISSION_DENIED to a served method with a request that is never allowed', async () => {
    const refused = async (call: Promise<unknown>, why: RegExp): Promise<void> => {
      const { code, message } = await answerOf(call);
      assert.equal(code, 'PERMISSION_DENIED', message);
      assert.match(message, why);
    };
    const data = Buffer.from('x');
    const copy = { path: '/etc/kata-agent/config.toml', fileSize: 1n, fileMode: 0o100644, data };
    await refused(guest.agent.copyFile(copy), /is not below \/run\/kata-containers\/shared\/containers/);
    const hooks = workload('hooks', 'true');
    assert.ok(hooks.OCI);
    hooks.OCI.Hooks = create(HooksSchema, { Prestart: [{ Path: '/bin/sh' }] });
    await refused(guest.agent.createContainer(hooks), /hooks/);
  });

  it('lets the host end the container', async () => {
    await guest.agent.signalProcess({ containerId: 'pod', execId: 'pod', signal: 9 });
    assert.equal((await guest.agent.waitProcess({ containerId: 'pod', execId: 'pod' })).status, 128 + 9);
    await guest.agent.removeContainer({ containerId: 'pod' });
  });

  it('has an audit log of all that, which can be read and verifies', async () => {
    const records = await verifiedRecord(guest.machine, guest.directory);
    const [first] = records;
    assert.equal(first?.['kind'], 'boot');
    for (const name of ignoredSettings)
      assert.match(JSON.stringify(first?.['facts']), new RegExp(`"ignoredOverrides":.*"${name}"`), name);
    const refusals = records.filter(({ kind }) => kind === 'refusal').map(({ method }) => method);
    const notServed = methodNames.filter((name) => !served.has(name));
    for (const name of notServed) assert.ok(refusals.includes(name), `${name} is recorded`);
    for (const name of ['CopyFile', 'CreateContainer'])
      assert.ok(records.some(({ kind, method }) => kind === 'outcome' && method === name));
    assert.doesNotMatch(JSON.stringify(records), /secret/);
  });

  it('ends with the sandbox', async () => {
    await guest.agent.destroySandbox({});
    assert.equal(await poweredOff(guest.machine), 0);
    assert.match(guest.machine.lines.join('\n'), /PID 1 ends with code 0; the machine is powered off/);
  });
});
