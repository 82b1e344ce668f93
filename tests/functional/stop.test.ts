import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { agentProgram } from '../harness/repository.js';

/** Points of the start at which the agent is stopped, each as a line of a program that wraps it and has `stop()`. */
const moments = {
  'as soon as it decides to serve':
    "process.on('newListener', (name) => { if (name === 'SIGTERM') setImmediate(stop); });",
  'before its audit log is open': "onWrite('there is no configuration', stop);",
  'while its audit log is opened': "onCall(fs.promises, 'open', /audit[.]log/, stop);",
  'while the guest starts': "onCall(fs, 'mkdirSync', /^[/]run[/]kata-containers/, stop);",
  'when its listener opens': `onWrite('"msg":"listening"', stop);`,
} as const;

describe('an agent that is stopped while it starts', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-stop-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  /** Runs the agent in a program that sends its own process a signal at a point. */
  function around(moment: string, signal: NodeJS.Signals): string {
    const program = join(directory, 'around.mjs');
    const text = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const stop = () => process.kill(process.pid, '${signal}');
      const once = (act) => () => { const now = act; act = () => undefined; now(); };
      const onWrite = (text, act) => {
        const write = process.stderr.write.bind(process.stderr);
        const first = once(act);
        process.stderr.write = (line, ...rest) => {
          if (String(line).includes(text)) first();
          return write(line, ...rest);
        };
      };
      const onCall = (of, name, path, act) => {
        const call = of[name];
        const first = once(act);
        of[name] = (...args) => {
          if (path.test(String(args[0]))) first();
          return call(...args);
        };
        syncBuiltinESMExports();
      };
      ${moment}
      await import(${JSON.stringify(agentProgram)});
    `;
    writeFileSync(program, text);
    return program;
  }

  for (const [when, moment] of Object.entries(moments)) {
    it(`${when}: exits in order, and leaves nothing`, async () => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        const socket = join(directory, 'agent.sock');
        const { code, stderr } = await AgentProcess.run({
          program: around(moment, signal),
          args: ['--server-addr', `unix://${socket}`],
        });
        assert.equal(code, 0, `${signal}: ${stderr}`);
        // From there to the listener the start does not yield.
        if (!/guest|listener/.test(when)) assert.doesNotMatch(stderr, /"msg":"listening"/);
        assert.ok(!existsSync(socket), 'the socket exists');
      }
    });
  }
});

describe('an agent that is stopped', () => {
  it('exits although a reader of its log stays connected', { timeout: 30_000 }, async () => {
    const agent = await AgentProcess.start({
      config: '[agent]\nlog_vport = 1025\n[api]\nallowed_endpoints = []\n',
    });
    const patience = setTimeout(() => agent.process.kill('SIGKILL'), 20_000);
    const socket = connect(`${agent.socketPath}_1025`);
    try {
      await once(socket, 'readable');
      assert.equal(await agent.stop(), 0);
    } finally {
      clearTimeout(patience);
      socket.destroy();
      await agent.dispose();
    }
  });
});
