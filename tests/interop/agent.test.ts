import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { suite, test } from 'node:test';

import { methodNames } from '@kata-agent/catalogue';

import { AgentProcess } from '../harness/agent-process.js';
import { stableFootprint } from '../harness/footprint.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { build, root } from './artifacts.js';
import { output } from './child.js';
import { isRecord } from './is-record.js';

const built = build('kata.binpb', 'agent-client');
const withoutGo = built.ok ? false : built.missing;
const withoutContainers = withoutGo === false ? (whyNoContainers() ?? false) : withoutGo;
const everything = '[api]\nrelease = "4.1"\nallowed_endpoints = ["*"]\n';

/** Runs Go's client against an agent and returns its output. */
async function goClient(agent: AgentProcess, ...args: readonly string[]): Promise<unknown> {
  if (!built.ok) throw new Error(built.missing);
  const common = ['-descriptors', built.path('kata.binpb'), '-address', agent.socketPath];
  return JSON.parse(await output(built.path('agent-client'), [...common, ...args]));
}

suite("Go's client calls all methods", { skip: withoutGo }, () => {
  // forward.toml needs another agent, and has tests of its own (functional/forward-documents).
  const examples = readdirSync(`${root}/examples`).filter(
    (name) => name.endsWith('.toml') && name !== 'forward.toml',
  );
  assert.ok(examples.length > 0, 'there are no examples');
  for (const example of examples) {
    test(`with examples/${example}`, async () => {
      const agent = await AgentProcess.start({ config: readFileSync(`${root}/examples/${example}`, 'utf8') });
      try {
        const answers = await goClient(agent, 'sweep');
        assert.ok(isRecord(answers));
        assert.deepEqual(Object.keys(answers).toSorted(), [...methodNames, 'Check', 'Version'].toSorted());
        for (const method of methodNames) {
          const { code, message } = statusOf(answers[method]);
          // A method that is not served has its name in the error; nothing else is unknown.
          if (code === 'UNIMPLEMENTED') assert.match(message, new RegExp(`^${method} is not served here`));
        }
        assert.equal(statusOf(answers['Check']).code, 'OK');
        assert.equal(statusOf(answers['Version']).code, 'OK');
      } finally {
        await agent.dispose();
      }
    });
  }

  test('an empty allow-list denies all 42, and Health answers', async () => {
    const agent = await AgentProcess.start({ config: '[api]\nallowed_endpoints = []\n' });
    try {
      const answers = await goClient(agent, 'sweep');
      assert.ok(isRecord(answers));
      assert.equal(methodNames.length, 42);
      for (const method of methodNames) {
        const { code, message } = statusOf(answers[method]);
        assert.equal(code, 'UNIMPLEMENTED', method);
        assert.match(message, new RegExp(`^${method} is not served here`));
      }
      assert.equal(statusOf(answers['Check']).code, 'OK');
    } finally {
      await agent.dispose();
    }
  });

  test('a rule denies all 42 with another status than the lists, and Health answers (R6)', async () => {
    const rule = `[[api.rule]]\nname = "nothing"\nendpoints = ["*"]\nexpression = 'false'\n`;
    const agent = await AgentProcess.start({ config: `${everything}${rule}` });
    try {
      const answers = await goClient(agent, 'sweep');
      assert.ok(isRecord(answers));
      for (const method of methodNames) {
        const { code, message } = statusOf(answers[method]);
        assert.equal(code, 'PERMISSION_DENIED', method);
        assert.match(message, /rule "nothing"/);
      }
      assert.equal(statusOf(answers['Check']).code, 'OK');
    } finally {
      await agent.dispose();
    }
  });

  test('one call by name with JSON', async () => {
    const agent = await AgentProcess.start({ config: everything });
    try {
      const details = await goClient(agent, 'call', 'GetGuestDetails', '{"mem_block_size": true}');
      assert.equal(statusOf(details).code, 'OK');
      const missing = await goClient(agent, 'call', 'WaitProcess', '{"container_id": "nobody"}');
      assert.ok(['NOT_FOUND', 'INVALID_ARGUMENT'].includes(statusOf(missing).code));
    } finally {
      await agent.dispose();
    }
  });
});

suite("Go's client runs containers", { skip: withoutContainers }, () => {
  test('from CreateSandbox to DestroySandbox', async () => {
    const agent = await AgentProcess.start({ config: everything });
    try {
      const rootfs = makeRootfs(agent.directory);
      const result = await goClient(agent, '-rootfs', rootfs, 'container');
      assert.ok(isRecord(result));
      assert.deepEqual(result['exit'], { stdout: 'out\n', stderr: 'err\n', status: 7 });

      const stdin = record(result['stdin']);
      assert.equal(stdin['length'], 10 * 2 ** 20);
      assert.equal(stdin['received'], stdin['sent']);
      assert.equal(stdin['status'], 0);

      assert.deepEqual(result['terminal'], { tty: true, sizes: ['24 80', '43 132'], status: 3 });

      const exec = record(result['exec']);
      assert.deepEqual(exec['plain'], { stdout: 'got word\n', stderr: 'no\n', status: 42 });
      const terminal = record(exec['terminal']);
      assert.match(String(terminal['output']), /\/dev\/(pts\/\d+|console)/);
      assert.equal(terminal['status'], 5);
      assert.equal(statusOf(exec['missing']).code, 'NOT_FOUND');
      assert.equal(statusOf(exec['noContainer']).code, 'INVALID_ARGUMENT');
      assert.notEqual(statusOf(exec['noCommand']).code, 'OK');
      assert.equal(statusOf(exec['sameId']).code, 'ALREADY_EXISTS');
      assert.equal(statusOf(exec['removeByKill']).code, 'OK');

      const signal = record(result['signal']);
      assert.deepEqual([signal['handled'], signal['unhandled'], signal['killed']], [5, 137, 137]);
      assert.equal(statusOf(signal['gone']).code, 'NOT_FOUND');
      assert.match(statusOf(signal['gone']).message, /ESRCH: No such process/);

      const stats = record(record(record(result['stats'])['stats'])['cgroup_stats']);
      const usage = record(record(stats['memory_stats'])['usage']);
      assert.ok(Number(usage['usage']) > 0, 'a running container uses memory');
      assert.equal(Number(record(stats['pids_stats'])['current']), 1);

      assert.deepEqual(result['pause'], { silentWhilePaused: true, answeredAfterResume: true, status: 0 });
      assert.deepEqual(result['grandchild'], { stdout: 'hello\n', stderr: '', status: 9 });
      assert.deepEqual(result['lateWait'], { status: 33 });
      assert.equal(statusOf(result['guest']).code, 'OK');
      assert.equal(statusOf(result['destroy']).code, 'OK');
      assert.equal(await agent.exited, 0, 'DestroySandbox ends the agent');
    } finally {
      await agent.dispose();
    }
  });

  test('200 sequential containers and 32 concurrent ones leave nothing behind', async () => {
    const agent = await AgentProcess.start({ config: everything });
    try {
      const rootfs = makeRootfs(agent.directory);
      const pid = agent.process.pid ?? assert.fail('the agent has no pid');
      assert.equal(
        statusOf(await goClient(agent, 'call', 'CreateSandbox', '{"sandbox_id": "many"}')).code,
        'OK',
      );
      // The first containers create resources that stay for the sandbox's lifetime.
      assert.deepEqual(await many(agent, rootfs, 1, 2), { sequential: 1, parallel: 2, wrong: [] });
      const before = await stableFootprint(pid, 'kata-agent-test');
      assert.deepEqual(await many(agent, rootfs, 200, 32), { sequential: 200, parallel: 32, wrong: [] });
      assert.deepEqual(await stableFootprint(pid, 'kata-agent-test'), before);
    } finally {
      await agent.dispose();
    }
  });
});

function many(agent: AgentProcess, rootfs: string, sequential: number, parallel: number): Promise<unknown> {
  const counts = ['-sequential', String(sequential), '-parallel', String(parallel)];
  return goClient(agent, '-rootfs', rootfs, ...counts, 'many');
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (isRecord(value)) return value;
  throw new assert.AssertionError({ message: `not an object: ${JSON.stringify(value)}` });
}

function statusOf(answer: unknown): { readonly code: string; readonly message: string } {
  const { code, message } = record(answer);
  return { code: String(code), message: typeof message === 'string' ? message : '' };
}
