import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';

const config = `
[agent]
debug_console = true
debug_console_vport = 1026
log_vport = 1025
[api]
blocked_endpoints = []
`;

/** Reads until this text, or to the end if it is undefined. */
async function readUntil(socket: Socket, wanted: RegExp | undefined): Promise<string> {
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (wanted?.test(text) === true) return text;
  }
  assert.equal(wanted, undefined, `the end came first: ${text}`);
  return text;
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    // ESRCH: the process ended between open and read.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

describe('side channels', () => {
  let agent: AgentProcess;
  before(async () => {
    agent = await AgentProcess.start({ config });
  });
  after(() => agent.dispose());

  const dial = (port: number): Socket => connect(`${agent.socketPath}_${port}`);

  it('the log stream has one object per line, all values strings', async () => {
    const socket = dial(1025);
    const text = await readUntil(socket, /"msg":"listening".*\n/);
    socket.destroy();
    // Later lines may not be in the other log yet, or be incomplete.
    const lines = text.slice(0, text.indexOf('\n', text.indexOf('"msg":"listening"'))).split('\n');
    assert.deepEqual(lines, agent.log.slice(0, lines.length));
    for (const line of lines) {
      const values = Object.entries(JSON.parse(line) as object);
      assert.ok(
        values.every(([, value]) => typeof value === 'string'),
        line,
      );
      const names = values.map(([name]) => name);
      for (const name of ['msg', 'level', 'ts', 'version', 'subsystem', 'pid', 'name', 'source'])
        assert.ok(names.includes(name), `${name} in ${line}`);
    }
  });

  it('the debug console is a shell on a terminal, and ends with exit', async () => {
    const socket = dial(1026);
    socket.write('stty -echo; test -t 0 && test -t 1 && echo "answer $((6 * 7))"; ps -o tty= -p $$; exit\n');
    const text = await readUntil(socket, undefined);
    assert.match(text, /answer 42\r\n/);
    assert.match(text, /pts\/\d+/, 'a controlling terminal');
  });

  it('a shell ends with its connection', async () => {
    const socket = dial(1026);
    socket.write('stty -echo; echo "pid $$ ."\n');
    const pid = Number(/pid (\d+) \./.exec(await readUntil(socket, /pid \d+ \./))?.[1]);
    assert.ok(isAlive(pid));
    socket.destroy();
    for (let tries = 0; tries < 200 && isAlive(pid); tries += 1)
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    assert.ok(!isAlive(pid));
    assert.ok(agent.log.some((line) => line.includes('debug console: a shell was started')));
  });

  it('audit records have the peers of the shell and the log stream, and the end of each connection', async () => {
    const recorded = await AgentProcess.start({ config });
    try {
      for (const [port, wanted, listener] of [
        [1026, /[#$]/, 'debug console'],
        [1025, /listening/, 'log'],
      ] as const) {
        const socket = connect(`${recorded.socketPath}_${port}`);
        await readUntil(socket, wanted);
        // The record precedes the connection. The end of the previous one can follow later.
        const intents = recorded.records().filter(({ kind }) => kind === 'intent');
        assert.equal(intents.at(-1)?.['listener'], listener);
        socket.destroy();
      }
      await recorded.stop();
      const records = recorded.records().filter(({ method }) => method === '(connection)');
      for (const listener of ['debug console', 'log']) {
        const [intent, outcome, ...more] = records.filter((record) => record['listener'] === listener);
        assert.deepEqual(
          [intent?.['kind'], outcome?.['kind'], more.length],
          ['intent', 'outcome', 0],
          listener,
        );
        assert.match(String(intent?.['peer']), /^pid \d+ uid 0$/);
        assert.match(JSON.stringify(intent?.['decision']), /"allow".*peers = \[/);
        assert.equal(outcome?.['intent'], intent?.['sequence']);
      }
    } finally {
      await recorded.dispose();
    }
  });

  it('each accepts only the peers of the listener, and closes another connection before it has a byte', {
    skip: process.getuid?.() === 0 ? false : 'needs root',
  }, async () => {
    // With a user besides root everybody can open the sockets.
    const listener =
      '[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\npeers = ["uid:0", "uid:77"]\n';
    const withStdio = config.replace('log_vport', 'passfd_listener_port = 1027\nlog_vport');
    const strict = await AgentProcess.start({ config: withStdio + listener });
    try {
      for (const port of [1025, 1026, 1027]) {
        const known = connect(`${strict.socketPath}_${port}`);
        await once(known, 'connect');
        if (port !== 1027) assert.notEqual(await readUntil(known, /./), '', String(port));
        known.destroy();
        chmodSync(strict.directory, 0o711);
        process.seteuid?.(4242);
        const stranger = connect(`${strict.socketPath}_${port}`);
        process.seteuid?.(0);
        stranger.on('error', () => undefined);
        // No port: the stdio channel would close it too, without a refusal.
        stranger.write('none\n');
        let text = '';
        stranger.on('data', (data: Buffer) => {
          text += data.toString();
          stranger.destroy();
        });
        await new Promise((resolve) => stranger.once('close', resolve));
        assert.equal(text, '', String(port));
      }
      await strict.stop();
      const refusals = strict.records().filter(({ kind }) => kind === 'refusal');
      assert.deepEqual(
        refusals.map(({ listener, peer }) => [listener, String(peer).replace(/pid \d+ /, '')]),
        ['log', 'debug console', 'stdio'].map((name) => [name, 'uid 4242']),
      );
    } finally {
      await strict.dispose();
    }
  });

  it('side channels exist only if configured', async () => {
    const closed = await AgentProcess.start({
      config: '[agent]\ndebug_console_vport = 1026\n[api]\nblocked_endpoints = []\n',
    });
    try {
      assert.ok(existsSync(closed.socketPath));
      for (const port of [1025, 1026, 1027]) assert.ok(!existsSync(`${closed.socketPath}_${port}`));
    } finally {
      await closed.dispose();
    }
  });
});
