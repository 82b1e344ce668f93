import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { membersOf, methodNames } from '@kata-agent/catalogue';
import { AgentService, type CreateContainerRequest, StorageSchema } from '@kata-agent/protocol/agent';
import { HooksSchema, MountSchema } from '@kata-agent/protocol/oci';
import type { Channel, Client } from '@kata-agent/ttrpc';
import { repository } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';
import { container, ext4Disk, rootFolder } from './hotplug.js';
import { agentIn, boot, dial, imageOf, listening, type Machine, shell, whyNoMachine } from './machine.js';
import { verifiedRecord } from './verified-record.js';

const skip = whyNoMachine() ?? false;
const shared = '/run/kata-containers/shared/containers';
const consolePort = 1026;

const served: ReadonlySet<string> = new Set([...membersOf('@pod', '4.1'), ...membersOf('@copy', '4.1')]);

describe('a confidential guest: the host runs the pod, and that is all', { skip }, () => {
  let folder = '';
  let machine: Machine;
  let agent: Client<typeof AgentService>;
  let channel: Channel;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-vm-confidential-'));
    const config = join(repository, 'examples', 'confidential.toml');
    machine = await boot(await imageOf('confidential-relay', { config }), folder, {
      disks: [ext4Disk(folder, 'rootfs', rootFolder(folder, 'root'))],
      append: ['agent.debug_console', `agent.debug_console_vport=${consolePort}`, 'agent.log=trace'],
    });
    await machine.line(listening);
    ({ agent, channel } = await agentIn(machine));
  });

  after(async () => {
    channel?.close();
    await machine?.kill();
    rmSync(folder, { recursive: true, force: true });
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
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    await agent.getGuestDetails({ memBlockSize: true });
    const data = Buffer.from('nameserver 10.0.0.1\n');
    await agent.copyFile({
      path: `${shared}/pod-resolv.conf`,
      fileSize: BigInt(data.length),
      fileMode: 0o100644,
      dirMode: 0o755,
      data,
    });
    const seesFile = 'test "$(cat /etc/resolv.conf)" = "nameserver 10.0.0.1"';
    const script = `${seesFile} && yes secret | head -n 200000 && read line; exit 7`;
    await agent.createContainer(workload('pod', script));
    await agent.startContainer({ containerId: 'pod' });
  });

  it('answers UNIMPLEMENTED to all that its lists do not serve', async () => {
    const calls = agent as unknown as Readonly<Record<string, (request: object) => Promise<unknown>>>;
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
      // The image's bundle has no code for what its configuration never serves.
      assert.equal(answer.message, `${name} is not served here: its handler was left out of this build`);
    }
  });

  it('answers the end of file to who would read, and lets nobody loosen that', async () => {
    for (const read of [agent.readStdout, agent.readStderr])
      assert.equal((await read({ containerId: 'pod', execId: 'pod', len: 100 })).data.length, 0);
    // What nobody reads is drained, so that the workload goes on, and the last of it stays in the guest.
    const file = '/run/kata-agent/output/*stdout';
    const kept = `for look in $(seq 300); do test -s ${file} && break; sleep 0.1; done; grep -m 1 -x secret ${file}`;
    assert.equal((await shell(machine, kept)).trim(), 'secret');
    const policy = '[api]\nallowed_endpoints = ["*"]\n';
    assert.equal((await answerOf(agent.setPolicy({ policy }))).code, 'UNIMPLEMENTED');
    await assert.rejects(dial(machine, consolePort), { message: 'ECONNRESET' });
  });

  it('answers PERMISSION_DENIED to a served call that asks for what nobody may have', async () => {
    const refused = async (call: Promise<unknown>, why: RegExp): Promise<void> => {
      const { code, message } = await answerOf(call);
      assert.equal(code, 'PERMISSION_DENIED', message);
      assert.match(message, why);
    };
    const data = Buffer.from('x');
    const copy = { path: '/etc/kata-agent/config.toml', fileSize: 1n, fileMode: 0o100644, data };
    await refused(agent.copyFile(copy), /is not below \/run\/kata-containers\/shared\/containers/);
    const hooks = workload('hooks', 'true');
    assert.ok(hooks.OCI);
    hooks.OCI.Hooks = create(HooksSchema, { Prestart: [{ Path: '/bin/sh' }] });
    await refused(agent.createContainer(hooks), /hooks/);
  });

  it('lets the host end the container', async () => {
    await agent.signalProcess({ containerId: 'pod', execId: 'pod', signal: 9 });
    assert.equal((await agent.waitProcess({ containerId: 'pod', execId: 'pod' })).status, 128 + 9);
    await agent.removeContainer({ containerId: 'pod' });
  });

  it('has a record of it all, which comes out and verifies', async () => {
    const records = await verifiedRecord(machine, folder);
    const [first] = records;
    assert.equal(first?.['kind'], 'boot');
    for (const word of ['debug_console', 'debug_console_vport', 'log_level'])
      assert.match(JSON.stringify(first?.['facts']), new RegExp(`"${word}"`));
    const refusals = records.filter(({ kind }) => kind === 'refusal').map(({ method }) => method);
    const notServed = methodNames.filter((name) => !served.has(name));
    for (const name of notServed) assert.ok(refusals.includes(name), `${name} is recorded`);
    for (const name of ['CopyFile', 'CreateContainer'])
      assert.ok(records.some(({ kind, method }) => kind === 'outcome' && method === name));
    assert.doesNotMatch(JSON.stringify(records), /secret/);
  });

  it('ends with the sandbox', async () => {
    await agent.destroySandbox({});
    assert.equal(await machine.ended, 0);
    assert.match(machine.lines.join('\n'), /PID 1 ends with code 0; the machine is powered off/);
  });
});
