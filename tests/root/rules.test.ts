import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const config = `[api]
release = "3.21"
allowed_endpoints = ["*"]

[[api.rule]]
name = "images"
endpoints = ["CreateContainer"]
expression = 'container.state == "none" && container.claimed.image.startsWith("registry.example/")'

[[api.rule]]
name = "two-containers"
endpoints = ["CreateContainer"]
expression = 'size(sandbox.containers) < 2 && sandbox.id == "pod"'

[[api.rule]]
name = "commands"
endpoints = ["ExecProcess"]
expression = '''
  container.state == "running" && container.claimed.annotations["role"] == "app" && args[0] == "echo"
'''

[[api.rule]]
name = "own-streams"
endpoints = ["ReadStdout"]
expression = 'request.exec_id != "secret"'
`;

/** Returns annotations: the host's claims about a container. */
const claims = (image: string) => ({ 'io.kubernetes.cri.image-name': image, role: 'app' });

describe('rules with real containers (R12)', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let agent: AgentProcess;
  let client: AgentConnection['agent'];
  const id = (name: string) => `${name}-${process.pid}`;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-rules-'));
    rootfs = makeRootfs(directory);
    agent = await AgentProcess.start({ config });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod' });
  });
  after(async () => {
    await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  function create(name: string, image: string) {
    const annotations = claims(image);
    return client.createContainer(
      containerRequest({ id: id(name), rootfs, args: ['sleep', '600'], annotations }),
    );
  }

  function exec(name: string, execId: string, args: readonly string[]) {
    const request = { containerId: id(name), execId, process: processRequest(args) };
    return answerOf(client.execProcess(request));
  }

  it('a rule sees the claimed image of a new container, and a denied container leaves nothing', async () => {
    const denied = await answerOf(create('a', 'elsewhere.example/app:1'));
    assert.equal(denied.code, 'PERMISSION_DENIED');
    assert.match(denied.message, /images/);
    await create('a', 'registry.example/app:1');
  });

  it('a rule sees state and annotations of an existing container', async () => {
    const early = await exec('a', 'e1', ['echo', 'hello']);
    assert.equal(early.code, 'PERMISSION_DENIED', 'the container does not run yet');
    await client.startContainer({ containerId: id('a') });
    assert.equal((await exec('a', 'e1', ['echo', 'hello'])).code, 'OK');
    assert.equal((await readAll(client, 'stdout', id('a'), 'e1')).toString(), 'hello\n');
    assert.equal((await exec('a', 'e2', ['id'])).code, 'PERMISSION_DENIED');
    assert.equal((await exec('unknown', 'e1', ['echo', 'hello'])).code, 'PERMISSION_DENIED');
  });

  it('a rule sees the containers of the sandbox', async () => {
    await create('b', 'registry.example/sidecar:1');
    const third = await answerOf(create('c', 'registry.example/sidecar:1'));
    assert.equal(third.code, 'PERMISSION_DENIED');
    assert.match(third.message, /two-containers/);
    await client.removeContainer({ containerId: id('b') });
    await create('c', 'registry.example/sidecar:1');
  });

  it('a rule sees the stream and the process of a read', async () => {
    assert.equal((await exec('a', 'secret', ['echo', 'x'])).code, 'OK');
    const denied = await answerOf(client.readStdout({ containerId: id('a'), execId: 'secret', len: 9 }));
    assert.equal(denied.code, 'PERMISSION_DENIED');
    const { data } = await client.readStderr({ containerId: id('a'), execId: 'secret', len: 9 });
    assert.equal(data.length, 0, 'the other stream is allowed and has ended');
    const { status } = await client.waitProcess({ containerId: id('a'), execId: 'secret' });
    assert.equal(status, 0);
  });
});
