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

// What the agent itself refuses of this is tested elsewhere.
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

/** As kata-agent-ctl 4.1.0 sent them to this agent: CHOWN is bit 0, KILL bit 5. */
const kept = ['CHOWN', 'KILL'];
const rustSets = { Bounding: kept, Effective: kept, Permitted: kept, Ambient: new Array<string>() };
const rustNamespaces = ['pid', 'net', 'ipc', 'uts', 'mnt'];

/** Allowed calls have no `errnoRet` in a profile; the Rust clients send 0 for it, as for one that is to fail. */
const errnoRet = { case: 'errnoret', value: 0 } as const;
const rustSeccomp: MessageInitShape<typeof LinuxSeccompSchema> = {
  DefaultAction: 'SCMP_ACT_ALLOW',
  Architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_AARCH64'],
  Syscalls: [
    { Names: ['read', 'write'], Action: 'SCMP_ACT_ALLOW', ErrnoRet: errnoRet },
    { Names: ['sethostname', 'mkdir', 'mkdirat'], Action: 'SCMP_ACT_ERRNO', ErrnoRet: errnoRet },
  ],
};

describe('specifications as Kata’s Rust clients write them', { skip: whyNoContainers() ?? false }, () => {
  let folder = '';
  let rootfs = '';
  let agent: AgentProcess;
  let client: AgentConnection['agent'];
  const id = (name: string) => `rust-${name}-${process.pid}`;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-rust-names-'));
    rootfs = makeRootfs(folder);
    agent = await AgentProcess.start({ config });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod' });
  });
  after(async () => {
    await agent.dispose();
    rmSync(folder, { recursive: true });
  });

  function rustRequest(name: string, args: readonly string[], sets: typeof rustSets = rustSets) {
    const request = create(CreateContainerRequestSchema, containerRequest({ id: id(name), rootfs, args }));
    assert.ok(request.OCI?.Process && request.OCI.Linux);
    request.OCI.Process.Capabilities = create(LinuxCapabilitiesSchema, sets);
    request.OCI.Linux.Namespaces = rustNamespaces.map((Type) => create(LinuxNamespaceSchema, { Type }));
    request.OCI.Linux.Seccomp = create(LinuxSeccompSchema, rustSeccomp);
    return request;
  }

  it('run with the capabilities and namespaces that they name, and are recorded by their full names', async () => {
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

  it('open devices to a privileged container, whose one rule has no numbers', async () => {
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

  it('get past no rule by another name', async () => {
    const sets = { ...rustSets, Ambient: ['SYS_ADMIN'] };
    const refused = await answerOf(client.createContainer(rustRequest('mighty', ['true'], sets)));
    assert.equal(refused.code, 'PERMISSION_DENIED');
    assert.match(refused.message, /no-admin/);
    const exec = create(ProcessSchema, processRequest(['true']));
    exec.Capabilities = create(LinuxCapabilitiesSchema, sets);
    const inside = await answerOf(client.execProcess({ containerId: 'x', execId: 'e', process: exec }));
    assert.equal(inside.code, 'PERMISSION_DENIED');
    assert.match(inside.message, /no-admin/);
  });
});
