import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { ctlProgram } from '../harness/repository.js';
import { type Answer, answerOf } from '../harness/sweep.js';

const open = '[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n[audit]\nfacts = true\n';

type Agent = AgentConnection['agent'];

const check = (agent: Agent, command = '/bin/check', env: readonly string[] = ['PROBE=1']): Promise<Answer> =>
  answerOf(
    agent.execProcess({
      containerId: 'web',
      execId: 'e1',
      process: processRequest([command, '-v'], { env }),
    }),
  );

/** Makes a runtime's calls for a pod without root: most of them fail, but not at the gate. */
async function session(agent: Agent): Promise<ReadonlyMap<string, Answer>> {
  const annotations = { 'io.kubernetes.cri.image-name': 'registry.example/app:1' };
  const container = {
    id: 'web',
    rootfs: '/',
    args: ['/bin/app', '--serve'],
    env: ['SECRET=hush'],
    annotations,
  };
  return new Map([
    ['CreateSandbox', await answerOf(agent.createSandbox({ sandboxId: 's' }))],
    ['GetGuestDetails', await answerOf(agent.getGuestDetails({}))],
    [
      'CopyFile',
      await answerOf(agent.copyFile({ path: '/run/kata-containers/shared/containers/web-resolv.conf' })),
    ],
    ['CreateContainer', await answerOf(agent.createContainer(containerRequest(container)))],
    ['StartContainer', await answerOf(agent.startContainer({ containerId: 'web' }))],
    ['ExecProcess', await check(agent)],
    ['WaitProcess', await answerOf(agent.waitProcess({ containerId: 'web', execId: 'e1' }))],
    ['ReadStdout', await answerOf(agent.readStdout({ containerId: 'web', execId: 'e1', len: 1 }))],
    ['SignalProcess', await answerOf(agent.signalProcess({ containerId: 'web', signal: 15 }))],
    ['RemoveContainer', await answerOf(agent.removeContainer({ containerId: 'web' }))],
  ]);
}

function program(...argv: readonly string[]): {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  const run = spawnSync(process.execPath, [ctlProgram, ...argv], { encoding: 'utf8' });
  return { code: run.status, stdout: run.stdout, stderr: run.stderr };
}

describe('a configuration learnt from the audit log of a running agent', () => {
  let recorded: AgentProcess;
  let first: ReadonlyMap<string, Answer>;
  let learnt = '';

  before(async () => {
    recorded = await AgentProcess.start({ config: open });
    first = await session((await recorded.connect()).agent);
    await recorded.stop();
    const { code, stdout, stderr } = program('config', 'learn', recorded.auditLog);
    assert.equal(code, 0, stderr);
    learnt = stdout;
  });
  after(() => recorded.dispose());

  it('names the records, and has no secret', () => {
    assert.match(learnt, /"CreateContainer", +# record \d+\n/);
    assert.match(learnt, /"SECRET", +\/\/ record \d+\n/);
    assert.doesNotMatch(learnt, /hush|--serve|-v"/);
  });

  it('serves the same calls again, and nothing else', async () => {
    // The learnt configuration locks its settings, so its address is written into it.
    const config = learnt.replace('[agent]\n', '[agent]\nserver_addr = "vsock://-1:1024"\n');
    const agent = await AgentProcess.start({ config });
    try {
      const { agent: client } = await agent.connect();
      assert.deepEqual(await session(client), first);

      const other = await check(client, '/bin/sh');
      assert.equal(other.code, 'PERMISSION_DENIED', other.message);
      assert.match(other.message, /rule "exec-process-commands"/);
      assert.match(
        (await check(client, '/bin/check', ['LD_PRELOAD=/x'])).message,
        /rule "exec-process-environment"/,
      );
      assert.match(
        (await answerOf(client.copyFile({ path: '/etc/passwd' }))).message,
        /rule "copy-file-files"/,
      );
      assert.match((await answerOf(client.signalProcess({ containerId: 'web', signal: 9 }))).message, /rule/);
      assert.equal((await answerOf(client.getMetrics({}))).code, 'UNIMPLEMENTED');
    } finally {
      await agent.dispose();
    }
  });

  it('passes the tests that are made from the same log', () => {
    const configuration = join(recorded.directory, 'learnt.toml');
    const cases = join(recorded.directory, 'recorded.test.yaml');
    writeFileSync(configuration, learnt);
    const shown = program('audit', 'show', recorded.auditLog, '--as-test');
    assert.equal(shown.code, 0, shown.stderr);
    writeFileSync(cases, shown.stdout);
    const { code, stdout, stderr } = program('config', 'test', cases, '--configuration', configuration);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, new RegExp(`${first.size} passed`));
  });

  it('narrows the current configuration', () => {
    const configuration = join(recorded.directory, 'learnt.toml');
    const { code, stdout } = program(
      'config',
      'diff',
      join(recorded.directory, 'config.toml'),
      configuration,
    );
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^closes \(\d+\)\n/);
  });
});
