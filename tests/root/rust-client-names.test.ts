import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import {
  LinuxCapabilitiesSchema,
  LinuxDeviceSchema,
  LinuxNamespaceSchema,
  LinuxResourcesSchema,
  LinuxSeccompSchema,
  ProcessSchema,
} from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

// Other tests cover the checks of the agent without rules.
const config = `[agent]
privileged_containers = "allow"

[api]
release = "4.1"
allowed_endpoints = ["*"]

[[api.rule]]
name = "no-admin"
endpoints = ["CreateContainer", "ExecProcess"]
expression = '!("CAP_SYS_ADMIN" in capabilities)'

[[api.rule]]
name = "own-mounts"
endpoints = ["CreateContainer"]
expression = 'request.OCI.Linux.Namespaces.exists(n, n.Type == "mount")'

[audit]
facts = true
`;

/** Names as Kata's kata-agent-ctl 4.1.0 sends them. CHOWN is bit 0, KILL bit 5. */
const shortNames = ['CHOWN', 'KILL'];
const rustSets = {
  Bounding: shortNames,
  Effective: shortNames,
  Permitted: shortNames,
  Ambient: new Array<string>(),
};
const rustNamespaces = ['pid', 'net', 'ipc', 'uts', 'mnt'];

/** Allowed syscalls have no `errnoRet` in a profile; the Rust clients send 0, also for syscalls that must fail. */
const errnoRet = { case: 'errnoret', value: 0 } as const;
const rustSeccomp: MessageInitShape<typeof LinuxSeccompSchema> = {
  DefaultAction: 'SCMP_ACT_ALLOW',
  Architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_AARCH64'],
  Syscalls: [
    { Names: ['read', 'write'], Action: 'SCMP_ACT_ALLOW', ErrnoRet: errnoRet },
    { Names: ['sethostname', 'mkdir', 'mkdirat'], Action: 'SCMP_ACT_ERRNO', ErrnoRet: errnoRet },
  ],
};

describe('specifications with the names of Kata’s Rust clients', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let agent: AgentProcess;
  let client: AgentConnection['agent'];
  const id = (name: string) => `rust-${name}-${process.pid}`;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-rust-names-'));
    rootfs = makeRootfs(directory);
    agent = await AgentProcess.start({ config });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod' });
  });
  after(async () => {
    await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  function rustRequest(name: string, args: readonly string[], sets: typeof rustSets = rustSets) {
    const request = create(CreateContainerRequestSchema, containerRequest({ id: id(name), rootfs, args }));
    assert.ok(request.OCI?.Process && request.OCI.Linux);
    request.OCI.Process.Capabilities = create(LinuxCapabilitiesSchema, sets);
    request.OCI.Linux.Namespaces = rustNamespaces.map((Type) => create(LinuxNamespaceSchema, { Type }));
    request.OCI.Linux.Seccomp = create(LinuxSeccompSchema, rustSeccomp);
    return request;
  }

  it('short names give a container its capabilities and namespaces, and audit records have full names', async () => {
    const containerId = id('plain');
    const shown = 'grep Cap /proc/self/status; readlink /proc/self/ns/mnt; mkdir /x; echo $?';
    await client.createContainer(rustRequest('plain', ['busybox', 'sh', '-c', shown]));
    await client.startContainer({ containerId });
    const text = (await readAll(client, 'stdout', containerId)).toString();
    assert.match(text, /^CapEff:\s+0000000000000021$/m);
    assert.match(text, /^CapBnd:\s+0000000000000021$/m);
    assert.match((await readAll(client, 'stderr', containerId)).toString(), /x.*not permitted/);
    await client.waitProcess({ containerId });
    await client.removeContainer({ containerId });
    const created = agent.records().find(({ method, facts }) => method === 'CreateContainer' && facts);
    assert.ok(created);
    const { capabilities } = created['facts'] as { readonly capabilities?: unknown };
    assert.deepEqual(capabilities, ['CAP_CHOWN', 'CAP_KILL']);
  });

  it('a device rule without numbers lets a privileged container open its devices', async () => {
    const containerId = id('privileged');
    const request = rustRequest('privileged', ['dd', 'if=/dev/fuse', 'count=0']);
    const fuse = { Path: '/dev/fuse', Type: 'c', Major: 10n, Minor: 229n, FileMode: 0o666 };
    assert.ok(request.OCI?.Linux);
    request.OCI.Linux.Devices = [create(LinuxDeviceSchema, fuse)];
    const rule = { Allow: true, Access: 'rwm' };
    request.OCI.Linux.Resources = create(LinuxResourcesSchema, { Devices: [rule] });
    await client.createContainer(request);
    await client.startContainer({ containerId });
    assert.equal(
      (await readAll(client, 'stderr', containerId)).toString(),
      '0+0 records in\n0+0 records out\n',
    );
    assert.equal((await client.waitProcess({ containerId })).status, 0);
    await client.removeContainer({ containerId });
  });

  it('a rule on a full capability name denies the short name', async () => {
    const sets = { ...rustSets, Ambient: ['SYS_ADMIN'] };
    const denied = await answerOf(client.createContainer(rustRequest('admin', ['true'], sets)));
    assert.equal(denied.code, 'PERMISSION_DENIED');
    assert.match(denied.message, /no-admin/);
    const exec = create(ProcessSchema, processRequest(['true']));
    exec.Capabilities = create(LinuxCapabilitiesSchema, sets);
    const deniedExec = await answerOf(client.execProcess({ containerId: 'x', execId: 'e', process: exec }));
    assert.equal(deniedExec.code, 'PERMISSION_DENIED');
    assert.match(deniedExec.message, /no-admin/);
  });
});
