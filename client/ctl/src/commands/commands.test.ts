import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import {
  GuestDetailsResponseSchema,
  type PauseContainerRequest,
  type RemoveContainerRequest,
  type SignalProcessRequest,
  StatsContainerResponseSchema,
} from '@kata-agent/protocol/agent';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { runProgram } from '@kata-agent/cli';
import { type FakeAgent, type Handlers, startFakeAgent } from '../testing/fake-agent.js';
import { type FakeIo, fakeIo } from '@kata-agent/cli/testing/fake-io';
import { program } from '../program.js';

interface Result {
  readonly code: number;
  readonly io: FakeIo;
  readonly agent: FakeAgent;
}

async function ctl(argv: readonly string[], handlers: Handlers = {}, input = ''): Promise<Result> {
  const agent = await startFakeAgent({}, handlers);
  const io = fakeIo({ KATA_AGENT_ADDRESS: agent.address });
  io.stdin.end(input);
  try {
    return { code: await runProgram(program, argv, io), io, agent };
  } finally {
    await agent.close();
  }
}

test('check reports serving; version prints all three versions', async () => {
  const check = await ctl(['check']);
  assert.equal(check.code, 0);
  assert.equal(check.io.stdout.text, 'serving\n');
  const version = await ctl(['version', '--format', 'json']);
  const value = JSON.parse(version.io.stdout.text) as Record<string, string>;
  assert.equal(value['agent'], '9.9');
  assert.equal(value['protocol'], '0.0.1');
});

test('guest prints a table, or the reply with the .proto file’s names', async () => {
  const handlers: Handlers = {
    getGuestDetails: async () =>
      create(GuestDetailsResponseSchema, {
        memBlockSizeBytes: 134_217_728n,
        agentDetails: { version: '1.2', supportsSeccomp: true, storageHandlers: ['overlay', 'local'] },
      }),
  };
  const text = (await ctl(['guest'], handlers)).io.stdout.text;
  assert.match(text, /^version +1\.2$/m);
  assert.match(text, /^storage drivers +overlay local$/m);
  assert.match(text, /^memory block size +128\.0 MiB$/m);
  const json = JSON.parse((await ctl(['guest', '--format', 'json'], handlers)).io.stdout.text) as object;
  assert.deepEqual((json as { mem_block_size_bytes: string }).mem_block_size_bytes, '134217728');
});

test('stats sums disks and omits absent limits', async () => {
  const handlers: Handlers = {
    statsContainer: async () =>
      create(StatsContainerResponseSchema, {
        cgroupStats: {
          cpuStats: { cpuUsage: { totalUsage: 1_500_000_000n } },
          memoryStats: { usage: { usage: 1048576n, limit: 2n ** 63n - 4096n } },
          pidsStats: { current: 3n, limit: 100n },
          blkioStats: {
            ioServiceBytesRecursive: [
              { op: 'Read', value: 1024n },
              { op: 'read', value: 1024n },
              { op: 'Write', value: 1n },
            ],
          },
        },
        networkStats: [{ name: 'eth0', rxBytes: 10n, txBytes: 2048n }],
      }),
  };
  const { code, io } = await ctl(['stats', 'web'], handlers);
  assert.equal(code, 0);
  for (const line of [
    /^cpu +1\.500 s$/m,
    /^memory +1\.0 MiB$/m,
    /^processes +3 of 100$/m,
    /^disk read +2\.0 KiB$/m,
    /^network eth0 +10 B in, 2\.0 KiB out$/m,
  ]) {
    assert.match(io.stdout.text, line);
  }
});

test('pause, resume, signal and rm send the given request and print nothing', async () => {
  const done = async () => ({});
  const handlers: Handlers = { pauseContainer: done, resumeContainer: done, signalProcess: done };
  const pause = await ctl(['pause', 'web'], handlers);
  assert.equal((pause.agent.requests.get('PauseContainer') as PauseContainerRequest).containerId, 'web');
  const resume = await ctl(['resume', 'web'], handlers);
  assert.deepEqual(resume.agent.methods, ['ResumeContainer']);
  const signal = await ctl(['signal', 'web', 'kill', '--exec', 'e1'], handlers);
  const sent = signal.agent.requests.get('SignalProcess') as SignalProcessRequest;
  assert.deepEqual([sent.containerId, sent.execId, sent.signal], ['web', 'e1', 9]);
  const rm = await ctl(['rm', 'web', '--within', '30'], handlers);
  assert.equal((rm.agent.requests.get('RemoveContainer') as RemoveContainerRequest).timeout, 30);
  for (const { code, io } of [pause, resume, signal, rm]) {
    assert.equal(code, 0);
    assert.equal(io.stdout.text + io.stderr.text, '');
  }
});

/** `-rw-r-----` with the file type, as in st_mode. */
const regularFile = 0o100640;

test('cp sends chunks that make up the file, also for an empty one', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
  try {
    for (const size of [0, 1, 1024 * 1024, 2_500_000]) {
      const source = join(directory, 'source');
      const bytes = Buffer.alloc(size, 'abcdefg');
      writeFileSync(source, bytes, { mode: 0o640 });
      const pieces: Buffer[] = [];
      const heads: string[] = [];
      const { code } = await ctl(['cp', source, 'web/file', '--owner', '5:6'], {
        copyFile: async (request) => {
          assert.equal(Number(request.offset), Buffer.concat(pieces).length);
          pieces.push(Buffer.from(request.data));
          heads.push([request.path, request.fileSize, request.fileMode, request.uid, request.gid].join(' '));
          return {};
        },
      });
      assert.equal(code, 0);
      assert.ok(Buffer.concat(pieces).equals(bytes), String(size));
      const head = `/run/kata-containers/shared/containers/web/file ${size} ${regularFile} 5 6`;
      assert.deepEqual([...new Set(heads)], [head]);
    }
    assert.equal((await ctl(['cp', directory, 'x'])).code, 2);
    for (const [words, instead] of [
      [['cp', 'web:/etc/hosts', 'hosts'], 'exec web cat /etc/hosts > FILE'],
      [['cp', 'hosts', 'web:/x'], "exec -i web sh -c 'cat > /x' < hosts"],
    ] as const) {
      const { code, io } = await ctl(words);
      assert.equal(code, 2);
      assert.ok(io.stderr.text.includes(instead), io.stderr.text);
    }
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    assert.equal((await ctl(['cp', join(directory, 'fifo'), 'x'])).code, 2);
    assert.equal((await ctl(['cp', join(directory, 'none'), 'x'])).code, 3);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('call reads a request from the argument, a file or standard input', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
  try {
    const text = '{"container_id": "web"}';
    const file = join(directory, 'request.json');
    writeFileSync(file, text);
    for (const operand of [text, `@${file}`, '-']) {
      const { code, io, agent } = await ctl(['call', 'StartContainer', operand], {}, text);
      assert.equal(code, 0, io.stderr.text);
      assert.equal(io.stdout.text, '{}\n');
      assert.equal((agent.requests.get('StartContainer') as PauseContainerRequest).containerId, 'web');
    }
    assert.equal((await ctl(['call', 'StartContainer', '@/nonexistent'])).code, 2);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('call prints replies with the .proto file’s names; --deadline cancels', async () => {
  const { io } = await ctl(['call', 'Health.Version', '--format', 'json']);
  assert.equal(io.stdout.text, '{"grpc_version":"0.0.1","agent_version":"9.9"}\n');
  const late = await ctl(['call', 'GetOOMEvent', '--deadline', '20ms'], {
    getOOMEvent: (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new TtrpcError(Code.Canceled, 'gone')));
      }),
  });
  assert.equal(late.code, 1);
  assert.match(late.io.stderr.text, /GetOOMEvent failed: DEADLINE_EXCEEDED/);
});

test('a failed call exits with 1 and reports its status, also as JSON', async () => {
  const handlers: Handlers = {
    statsContainer: async () => {
      throw new TtrpcError(Code.InvalidArgument, 'no container x');
    },
  };
  const text = await ctl(['stats', 'x'], handlers);
  assert.equal(text.code, 1);
  assert.equal(
    text.io.stderr.text,
    'kata-agent-ctl: StatsContainer failed: INVALID_ARGUMENT: no container x\n',
  );
  const json = await ctl(['stats', 'x', '--format', 'json'], handlers);
  assert.deepEqual(JSON.parse(json.io.stderr.text), {
    error: {
      method: 'StatsContainer',
      status: 'INVALID_ARGUMENT',
      serverMessage: 'no container x',
      kind: 'failed',
    },
  });
});
