import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type {
  CreateContainerRequest,
  ExecProcessRequest,
  TtyWinResizeRequest,
} from '@kata-agent/protocol/agent';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { runProgram } from '@kata-agent/cli';
import { type FakeAgent, type FakeProcess, type Handlers, startFakeAgent } from '../testing/fake-agent.js';
import { type FakeIo, fakeIo } from '@kata-agent/cli/testing/fake-io';
import { program } from '../program.js';

const refuse = (name: string) => async (): Promise<never> => {
  throw new TtrpcError(Code.Unimplemented, `${name} is not served here: not in allowed_endpoints (c.toml:3)`);
};

/** Runs one command line against a fake agent. */
async function withFake(
  argv: readonly string[],
  script: FakeProcess,
  options: {
    handlers?: Handlers;
    during?: (io: FakeIo, agent: FakeAgent) => void | Promise<void>;
    prepare?: (io: FakeIo) => void;
  } = {},
): Promise<{ code: number; io: FakeIo; agent: FakeAgent }> {
  const agent = await startFakeAgent(script, options.handlers);
  const io = fakeIo({ KATA_AGENT_ADDRESS: agent.address, HOME: '/root' });
  options.prepare?.(io);
  try {
    const running = runProgram(program, argv, io);
    await options.during?.(io, agent);
    return { code: await running, io, agent };
  } finally {
    await agent.close();
  }
}

/** Never resolves; rejects when the client disconnects. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new TtrpcError(Code.Canceled, 'the client disconnected')));
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

test('run creates and removes sandbox and container, forwards both streams, and returns the exit code', async () => {
  const script = { stdout: ['one ', 'two\n'], stderr: ['oops\n'], status: 7 };
  const { code, io, agent } = await withFake(['run', '/srv/rootfs', '--', 'sh', '-c', 'x'], script);
  assert.equal(code, 7);
  assert.equal(io.stdout.text, 'one two\n');
  assert.equal(io.stderr.text, 'oops\n');
  assert.deepEqual(agent.methods.slice(0, 3), ['CreateSandbox', 'CreateContainer', 'StartContainer']);
  assert.deepEqual(agent.methods.slice(-2), ['RemoveContainer', 'DestroySandbox']);
  const request = agent.requests.get('CreateContainer') as CreateContainerRequest;
  assert.equal(request.execId, request.containerId);
  assert.deepEqual(request.OCI?.Process?.Args, ['sh', '-c', 'x']);
  assert.equal(request.OCI?.Root?.Path, `/run/kata-containers/${request.containerId}/rootfs`);
  assert.equal(request.storages[0]?.options[0], 'lowerdir=/srv/rootfs');
});

test('options of the workload are not parsed as ours', async () => {
  const { agent } = await withFake(['run', '/r', 'ls', '-t', '--help', '-e', 'x'], {});
  const request = agent.requests.get('CreateContainer') as CreateContainerRequest;
  assert.deepEqual(request.OCI?.Process?.Args, ['ls', '-t', '--help', '-e', 'x']);
  assert.equal(request.OCI?.Process?.Terminal, false);
});

test('without -i standard input is closed at once', async () => {
  const { code, agent } = await withFake(['run', '/r', 'cat'], { echo: true });
  assert.equal(code, 0);
  assert.ok(agent.methods.includes('CloseStdin'));
});

test("with -i standard input is forwarded unchanged, and its end closes the program's", async () => {
  const bytes = Buffer.alloc(300_000, 'standard input\n');
  const { code, io } = await withFake(
    ['run', '-i', '/r', 'cat'],
    { echo: true },
    {
      prepare: ({ stdin }) => stdin.end(bytes),
      handlers: {},
    },
  );
  assert.equal(io.stderr.text, '');
  assert.equal(code, 0);
  assert.ok(io.stdout.bytes.equals(bytes));
});

test('denied input is reported once; input that the program no longer reads is not', async () => {
  const prepare = ({ stdin }: FakeIo): void => void stdin.end('input');
  const refused = await withFake(
    ['run', '-i', '/r', 'true'],
    { status: 2 },
    { prepare, handlers: { writeStdin: refuse('WriteStdin') } },
  );
  assert.equal(refused.code, 2);
  assert.match(
    refused.io.stderr.text,
    /^kata-agent-ctl: the program gets no standard input: WriteStdin was /,
  );
  const ended = await withFake(
    ['run', '-i', '/r', 'true'],
    { status: 2 },
    {
      prepare,
      handlers: {
        writeStdin: async () => {
          throw new TtrpcError(Code.FailedPrecondition, 'the process does not read it any more');
        },
      },
    },
  );
  assert.equal(ended.code, 2);
  assert.equal(ended.io.stderr.text, '');
});

test('an agent that exits with its sandbox before it replies is success; a denied removal is reported', async () => {
  const gone = await withFake(
    ['run', '/r', 'true'],
    { status: 6 },
    {
      during: async (_io, { methods, hangUp }) => {
        await until(() => methods.includes('DestroySandbox'));
        hangUp();
      },
      handlers: { destroySandbox: (_request, { signal }) => aborted(signal) },
    },
  );
  assert.equal(gone.code, 6);
  assert.equal(gone.io.stderr.text, '');
  const refused = await withFake(
    ['run', '/r', 'true'],
    { status: 6 },
    { handlers: { destroySandbox: refuse('DestroySandbox') } },
  );
  assert.equal(refused.code, 6);
  assert.match(refused.io.stderr.text, /the sandbox was not removed: DestroySandbox was denied/);
});

test('an agent that disconnects while the program runs exits with 125', async () => {
  const { code, io } = await withFake(
    ['run', '/r', 'sleep'],
    { untilSignal: true },
    {
      during: async (_io, { methods, hangUp }) => {
        await until(() => methods.includes('WaitProcess'));
        hangUp();
      },
    },
  );
  assert.equal(code, 125);
  assert.match(io.stderr.text, /UNAVAILABLE/);
});

test('with -t the terminal is raw while the program runs, and its size is forwarded', async () => {
  const sizes: string[] = [];
  const { code, io, agent } = await withFake(
    ['run', '-it', '/r', 'sh'],
    { echo: true },
    {
      prepare: ({ stdin, stdout }) => {
        stdin.isTTY = true;
        stdout.isTTY = true;
        stdout.rows = 40;
        stdout.columns = 100;
      },
      during: async ({ stdin, stdout }, { requests }) => {
        const seen = (rows: number) => (): boolean => {
          const request = requests.get('TtyWinResize') as TtyWinResizeRequest | undefined;
          return request?.row === rows;
        };
        await until(seen(40));
        stdout.rows = 41;
        stdout.emit('resize');
        await until(seen(41));
        sizes.push('40', '41');
        stdin.end('exit\r');
      },
    },
  );
  assert.equal(code, 0);
  assert.deepEqual(sizes, ['40', '41']);
  assert.deepEqual(io.stdin.modes, [true, false]);
  assert.equal(io.stdout.text, 'exit\r');
  const spec = (agent.requests.get('CreateContainer') as CreateContainerRequest).OCI?.Process;
  assert.equal(spec?.Terminal, true);
  assert.equal(spec?.ConsoleSize?.Height, 40);
  assert.ok(!agent.methods.includes('ReadStderr'));
});

test('signals are forwarded, also those from before the program ran', async () => {
  for (const [name, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const result = await withFake(
      ['run', '/r', 'sleep'],
      { untilSignal: true },
      {
        during: (io) => {
          assert.equal(io.signals.listenerCount(name), 0);
          return until(() => io.signals.listenerCount(name) > 0).then(() => {
            io.signals.emit(name);
          });
        },
      },
    );
    assert.equal(result.code, code);
    assert.equal(result.io.signals.listenerCount(name), 0);
  }
});

test('a signal that the agent refuses ends the run and removes the container', async () => {
  const { code, io, agent } = await withFake(
    ['run', '/r', 'sleep'],
    { untilSignal: true },
    {
      handlers: { signalProcess: refuse('SignalProcess') },
      during: async ({ signals }, { methods }) => {
        await until(() => methods.includes('WaitProcess'));
        signals.emit('SIGINT');
      },
    },
  );
  assert.equal(code, 125);
  assert.match(io.stderr.text, /signal 2 cannot be forwarded: .*UNIMPLEMENTED/);
  assert.deepEqual(agent.methods.slice(-2), ['RemoveContainer', 'DestroySandbox']);
});

test('the third signal ends the command if the program ignores signals', async () => {
  const { code, io, agent } = await withFake(
    ['run', '/r', 'sleep'],
    { untilSignal: true },
    {
      handlers: { signalProcess: async () => ({}) },
      during: async ({ signals }, { methods }) => {
        await until(() => methods.includes('WaitProcess'));
        for (let count = 0; count < 3; count += 1) signals.emit('SIGINT');
      },
    },
  );
  assert.equal(code, 125);
  assert.match(io.stderr.text, /signalled 3 times/);
  assert.deepEqual(agent.methods.slice(-2), ['RemoveContainer', 'DestroySandbox']);
});

test('output that is not served is skipped with a notice, and the exit code is returned', async () => {
  const { code, io } = await withFake(
    ['run', '/r', 'true'],
    { status: 3, stdout: ['seen'] },
    { handlers: { readStderr: refuse('ReadStderr') } },
  );
  assert.equal(code, 3);
  assert.equal(io.stdout.text, 'seen');
  assert.match(io.stderr.text, /stderr is not shown: ReadStderr was denied/);
});

test('a closed standard output ends the run, and the container is removed', async () => {
  const { code, io, agent } = await withFake(
    ['run', '/r', 'yes'],
    { stdout: ['y', 'y'], untilSignal: true },
    {
      prepare: ({ stdout }) => {
        stdout.on('error', () => undefined);
        stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
      },
    },
  );
  assert.equal(code, 125);
  assert.equal(agent.methods.at(-1), 'DestroySandbox');
  assert.ok(agent.methods.includes('RemoveContainer'), io.stderr.text);
});

test('a denied CreateContainer exits with 125, names what to allow, and leaves no sandbox', async () => {
  const { code, io, agent } = await withFake(
    ['run', '/r', 'true'],
    {},
    { handlers: { createContainer: refuse('CreateContainer') } },
  );
  assert.equal(code, 125);
  assert.match(io.stderr.text, /CreateContainer was denied/);
  assert.match(io.stderr.text, /"CreateContainer", "@pod"/);
  assert.deepEqual(agent.methods, ['CreateSandbox', 'CreateContainer', 'DestroySandbox']);
});

test('a failed removal is reported, and the exit code is the program’s', async () => {
  const { code, io } = await withFake(
    ['run', '--name', 'web', '/r', 'true'],
    { status: 9 },
    { handlers: { removeContainer: refuse('RemoveContainer') } },
  );
  assert.equal(code, 9);
  assert.match(io.stderr.text, /the container web was not removed: RemoveContainer was denied/);
});

test('an agent with a sandbox is an error with a fix, and the fix works', async () => {
  const handlers: Handlers = {
    createSandbox: async () => {
      throw new TtrpcError(Code.AlreadyExists, 'there is a sandbox');
    },
  };
  const first = await withFake(['run', '/r', 'true'], {}, { handlers });
  assert.equal(first.code, 125);
  assert.match(first.io.stderr.text, /already has a sandbox/);
  assert.match(first.io.stderr.text, /--no-sandbox/);
  assert.deepEqual(first.agent.methods, ['CreateSandbox']);
  const second = await withFake(['run', '--no-sandbox', '/r', 'true'], {}, { handlers });
  assert.equal(second.code, 0);
  assert.equal(second.agent.methods.at(-1), 'RemoveContainer');
});

test('--keep-sandbox leaves the sandbox', async () => {
  const { code, agent } = await withFake(['run', '--keep-sandbox', '/r', 'true'], {});
  assert.equal(code, 0);
  assert.equal(agent.methods.at(-1), 'RemoveContainer');
  assert.equal(agent.methods[0], 'CreateSandbox');
});

test('wrong use of run exits with 125 and calls nothing', async () => {
  for (const argv of [
    ['run'],
    ['run', '/r'],
    ['run', '/r', '--'],
    ['run', '--nope', '/r', 'x'],
    ['run', 'relative', 'x'],
    ['run', '--user', 'root', '/r', 'x'],
    ['run', '--no-sandbox', '--keep-sandbox', '/r', 'x'],
    ['run', '--read-only', '--writable', '/r', 'x'],
    ['run', '--name', '../x', '/r', 'x'],
    ['exec', '../x', 'y'],
    ['exec'],
  ]) {
    const { code, io, agent } = await withFake(argv, {});
    assert.equal(code, 125, argv.join(' '));
    assert.notEqual(io.stderr.text, '');
    assert.deepEqual(agent.methods, [], argv.join(' '));
  }
});

test('exec starts a process in the container and returns its exit code', async () => {
  const { code, io, agent } = await withFake(
    ['exec', '-e', 'HOME', '-e', 'A=b=c', '-u', '1:2,3', '--cwd', '/tmp', 'web', '--', 'id', '-u'],
    { stdout: ['1\n'], status: 4 },
  );
  assert.equal(code, 4);
  assert.equal(io.stdout.text, '1\n');
  const request = agent.requests.get('ExecProcess') as ExecProcessRequest;
  assert.equal(request.containerId, 'web');
  assert.match(request.execId, /^exec-[0-9a-f]{8}$/);
  assert.deepEqual(request.process?.Args, ['id', '-u']);
  assert.equal(request.process?.Cwd, '/tmp');
  assert.deepEqual(request.process?.User?.AdditionalGids, [3]);
  assert.deepEqual(request.process?.Env.slice(1), ['HOME=/root', 'A=b=c']);
});

test('a denied exec names what denied it, and what to allow', async () => {
  const { code, io } = await withFake(
    ['exec', 'web', 'sh'],
    {},
    { handlers: { execProcess: refuse('ExecProcess') } },
  );
  assert.equal(code, 125);
  assert.match(io.stderr.text, /ExecProcess was denied: .*\(UNIMPLEMENTED\)/);
  assert.match(io.stderr.text, /not in allowed_endpoints \(c\.toml:3\)/);
  assert.match(io.stderr.text, /"ExecProcess", "@exec"/);
  assert.match(io.stderr.text, /kata-agent-ctl endpoints ExecProcess/);
});

test('logs prints both streams to their ends', async () => {
  const script = { stdout: ['a', 'b'], stderr: ['c'] };
  const { code, io } = await withFake(['logs', 'web'], script);
  assert.equal(code, 0);
  assert.equal(io.stdout.text, 'ab');
  assert.equal(io.stderr.text, 'c');
});

test('logs as JSON prints one line per chunk', async () => {
  const { io } = await withFake(['logs', 'web', '--format', 'json'], { stdout: ['hi'] });
  assert.deepEqual(JSON.parse(io.stdout.text), { stream: 'stdout', data: 'aGk=' });
});
