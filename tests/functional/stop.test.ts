import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { agentProgram } from '../harness/repository.js';

/** Where in its start the agent is stopped, each as a line of a program that runs around it and has `stop()`. */
const moments = {
  'as soon as it knows that it is to serve':
    "process.on('newListener', (name) => { if (name === 'SIGTERM') setImmediate(stop); });",
  'before its record is open': "onWrite('there is no configuration', stop);",
  'while its record is opened': "onCall(fs.promises, 'open', /audit[.]log/, stop);",
  'while the guest’s work begins': "onCall(fs, 'mkdirSync', /^[/]run[/]kata-containers/, stop);",
  'as its listener opens': `onWrite('"msg":"listening"', stop);`,
} as const;

describe('an agent that is stopped while it starts', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-stop-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** The agent inside of a program that sends its own process a signal at a moment. */
  function around(moment: string, signal: NodeJS.Signals): string {
    const program = join(folder, 'around.mjs');
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
    it(`${when}: ends in order, and leaves nothing`, async () => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        const socket = join(folder, 'agent.sock');
        const { code, stderr } = await AgentProcess.run({
          program: around(moment, signal),
          args: ['--server-addr', `unix://${socket}`],
        });
        assert.equal(code, 0, `${signal}: ${stderr}`);
        // From there to the listener it does not look up.
        if (!/guest|listener/.test(when)) assert.doesNotMatch(stderr, /"msg":"listening"/);
        assert.ok(!existsSync(socket), 'the socket is there');
      }
    });
  }
});

describe('an agent that is stopped', () => {
  it('ends although somebody who has its log does not hang up', { timeout: 30_000 }, async () => {
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
