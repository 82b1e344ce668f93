import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { LinuxCapabilitiesSchema, POSIXRlimitSchema, type ProcessSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const config = `[agent]
privileged_containers = "allow"

[api]
release = "4.1"
allowed_endpoints = ["*"]

[[api.rule]]
name = "no-setuid-in-b"
endpoints = ["ExecProcess"]
expression = 'request.container_id != "go-b" || !("CAP_SETUID" in capabilities)'
`;

describe('an exec as Kata’s Go runtime sends it, without capabilities', {
  skip: whyNoContainers() ?? false,
}, () => {
  let directory = '';
  let rootfs = '';
  let agent: AgentProcess;
  let client: AgentConnection['agent'];

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-go-exec-'));
    rootfs = makeRootfs(directory);
    agent = await AgentProcess.start({ config });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod' });
    for (const id of ['go-a', 'go-b']) {
      await client.createContainer(containerRequest({ id, rootfs, args: ['sleep', '1000'] }));
      await client.startContainer({ containerId: id });
    }
  });
  after(async () => {
    await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  /** The members that `cmdToKataProcess` of the Go runtime sets. */
  const ofGo = (args: readonly string[]): MessageInitShape<typeof ProcessSchema> => ({
    User: { UID: 0, GID: 0 },
    Args: [...args],
    Env: ['PATH=/bin'],
    Cwd: '/',
  });

  it('has those of its container; one with empty sets has none', async () => {
    const containerId = 'go-a';
    const show = ofGo(['busybox', 'sh', '-c', 'grep -E "Cap(Eff|Bnd)" /proc/self/status']);
    await client.execProcess({ containerId, execId: 'e1', process: show });
    const text = String(await readAll(client, 'stdout', containerId, 'e1'));
    // CHOWN, KILL, SETGID and SETUID.
    assert.match(text, /^CapEff:\s+00000000000000e1$/m);
    assert.match(text, /^CapBnd:\s+00000000000000e1$/m);
    await client.execProcess({
      containerId,
      execId: 'e2',
      process: { ...show, Capabilities: create(LinuxCapabilitiesSchema) },
    });
    assert.match(String(await readAll(client, 'stdout', containerId, 'e2')), /^CapEff:\s+0{16}$/m);
  });

  it('has the resource limits of its container', async () => {
    const containerId = 'go-c';
    const request = create(
      CreateContainerRequestSchema,
      containerRequest({ id: containerId, rootfs, args: ['sleep', '1000'] }),
    );
    // In bytes; `ulimit -c` prints blocks of 512. runc before 1.1.13 can lose RLIMIT_NOFILE.
    const limit = { Type: 'RLIMIT_CORE', Hard: 8192n, Soft: 4096n };
    request.OCI?.Process?.Rlimits.push(create(POSIXRlimitSchema, limit));
    await client.createContainer(request);
    await client.startContainer({ containerId });
    const show = ofGo(['busybox', 'sh', '-c', 'ulimit -Sc; ulimit -Hc']);
    await client.execProcess({ containerId, execId: 'l1', process: show });
    assert.equal(String(await readAll(client, 'stdout', containerId, 'l1')), '8\n16\n');
    const own = { ...ofGo(show.Args ?? []), Rlimits: [create(POSIXRlimitSchema, { ...limit, Soft: 512n })] };
    await client.execProcess({ containerId, execId: 'l2', process: own });
    assert.equal(String(await readAll(client, 'stdout', containerId, 'l2')), '1\n16\n');
  });

  it('rules see them', async () => {
    const denied = await answerOf(
      client.execProcess({ containerId: 'go-b', execId: 'e', process: ofGo(['true']) }),
    );
    assert.equal(denied.code, 'PERMISSION_DENIED');
    assert.match(denied.message, /no-setuid-in-b/);
  });
});
