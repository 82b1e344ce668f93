// Differences from Kata's agent that a client sees, by their ids in packages/catalogue/src/differences.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll, readUntil } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers() ?? false;

describe('a difference from Kata’s agent', { skip }, () => {
  let directory = '';
  let rootfs = '';
  let process: AgentProcess;
  let agent: AgentConnection['agent'];
  let count = 0;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-root-'));
    rootfs = makeRootfs(directory);
    process = await AgentProcess.start();
    ({ agent } = await process.connect());
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });

  after(async () => {
    await process.dispose();
    rmSync(directory, { recursive: true });
  });

  async function created(args: readonly string[], terminal = false): Promise<string> {
    count += 1;
    const id = `difference-${count}-${globalThis.process.pid}`;
    await agent.createContainer(containerRequest({ id, rootfs, args, terminal }));
    return id;
  }

  async function started(args: readonly string[], terminal = false): Promise<string> {
    const id = await created(args, terminal);
    await agent.startContainer({ containerId: id });
    return id;
  }

  it('create-existing-id: it is refused, and the first container continues', async () => {
    const id = await started(['cat'], true);
    const answer = await answerOf(agent.createContainer(containerRequest({ id, rootfs, args: ['true'] })));
    assert.equal(answer.code, 'ALREADY_EXISTS', answer.message);
    await agent.writeStdin({ containerId: id, execId: '', data: Buffer.from('still here\n') });
    await readUntil(agent, id, 'still here');
    await agent.removeContainer({ containerId: id });
  });

  it('start-twice: it is refused at once, and other calls are served', async () => {
    const id = await started(['sleep', '1000']);
    const answer = await answerOf(agent.startContainer({ containerId: id }));
    assert.equal(answer.code, 'FAILED_PRECONDITION', answer.message);
    await agent.statsContainer({ containerId: id });
    await agent.removeContainer({ containerId: id });
  });

  it('wait-again: the exit code is returned again, of a container and of an exec', async () => {
    const id = await started(['sh', '-c', 'read x; exit 5']);
    await agent.execProcess({
      containerId: id,
      execId: 'e',
      process: processRequest(['sh', '-c', 'exit 6']),
    });
    for (let times = 0; times < 2; times += 1)
      assert.equal((await agent.waitProcess({ containerId: id, execId: 'e' })).status, 6);
    await agent.closeStdin({ containerId: id, execId: '' });
    const { status } = await agent.waitProcess({ containerId: id, execId: '' });
    assert.notEqual(status, 0);
    assert.equal((await agent.waitProcess({ containerId: id, execId: id })).status, status);
    await agent.removeContainer({ containerId: id });
  });

  it('exec-paused: it is refused at once, and succeeds once the container is resumed', async () => {
    const id = await started(['sleep', '1000']);
    await agent.pauseContainer({ containerId: id });
    const exec = { containerId: id, execId: 'e', process: processRequest(['true']) };
    assert.equal((await answerOf(agent.execProcess(exec))).code, 'FAILED_PRECONDITION');
    await agent.resumeContainer({ containerId: id });
    await agent.execProcess(exec);
    assert.equal((await agent.waitProcess({ containerId: id, execId: 'e' })).status, 0);
    await agent.removeContainer({ containerId: id });
  });

  it('pause-created: a container that is not started cannot be paused', async () => {
    const id = await created(['true']);
    assert.equal((await answerOf(agent.pauseContainer({ containerId: id }))).code, 'FAILED_PRECONDITION');
    await agent.removeContainer({ containerId: id });
  });

  it('stderr-terminal: stderr of a process with a terminal is at its end', async () => {
    const id = await started(['cat'], true);
    const { data } = await agent.readStderr({ containerId: id, execId: '', len: 100 });
    assert.equal(data.length, 0);
    await agent.removeContainer({ containerId: id });
  });

  it('resize-no-terminal: it is refused in a way that is not tried again', async () => {
    const id = await started(['sleep', '1000']);
    const answer = await answerOf(agent.ttyWinResize({ containerId: id, execId: '', row: 1, column: 1 }));
    assert.equal(answer.code, 'FAILED_PRECONDITION', answer.message);
    await agent.removeContainer({ containerId: id });
  });

  it('create-environment: an empty HOME is replaced, and a variable without a name is refused', async () => {
    const request = { id: 'home', rootfs, args: ['sh', '-c', 'echo "home=$HOME"'], env: ['HOME='] };
    await agent.createContainer(containerRequest(request));
    await agent.startContainer({ containerId: 'home' });
    assert.match(String(await readAll(agent, 'stdout', 'home')), /^home=\/.*\n$/);
    await agent.removeContainer({ containerId: 'home' });
    const nameless = containerRequest({ ...request, id: 'nameless', env: ['=x'] });
    assert.equal((await answerOf(agent.createContainer(nameless))).code, 'INVALID_ARGUMENT');
  });
});
