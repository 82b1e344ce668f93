import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createSocketServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadSyscalls } from '@kata-agent/linux';
import { Health, HealthCheckResponse_ServingStatus as Status } from '@kata-agent/protocol/health';
import { createServer, service } from '@kata-agent/ttrpc';
import { InnerAgent } from './inner-agent.js';
import { InnerWatch, type WatchOptions } from './inner-watch.js';

interface Listening {
  readonly server: Server;
  close(): Promise<void>;
}

function setUp(context: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'inner-watch-'));
  const socket = join(directory, 'agent.sock');
  context.after(() => rmSync(directory, { recursive: true }));
  const events: string[] = [];
  let records = 0;
  const options = (patience: number, check = () => undefined): WatchOptions => ({
    agent: new InnerAgent(socket, loadSyscalls()),
    log: (level, message) => events.push(`${level} ${message}`),
    records: {
      begin: async ({ listener }) => {
        records += 1;
        const number = records;
        events.push(`begin ${listener} ${number}`);
        return () => events.push(`end ${number}`);
      },
    },
    check,
    patience,
  });
  const listen = async (status = () => Status.SERVING): Promise<Listening> => {
    const ttrpc = createServer<undefined>({
      services: [service(Health, { check: async () => ({ status: status() }) })],
    });
    const sockets = new Set<Socket>();
    const server = createSocketServer((stream) => {
      sockets.add(stream);
      ttrpc.serve(stream, undefined);
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    return {
      server,
      close: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          for (const stream of sockets) stream.destroy();
        }),
    };
  };
  return { directory, socket, events, options, listen };
}

async function until(condition: () => boolean): Promise<void> {
  for (let attempt = 0; !condition(); attempt += 1) {
    if (attempt > 500) throw new Error('timed out');
    await delay(10);
  }
}

test('the start waits for the inner agent until it serves', async (context) => {
  const { events, options, listen } = setUp(context);
  const starting = InnerWatch.start(options(10_000));
  await delay(150);
  assert.equal(events.length, 0);
  let status = Status.NOT_SERVING;
  const listening = await listen(() => status);
  await delay(150);
  assert.equal(events.length, 0);
  status = Status.SERVING;
  const watch = await starting;
  assert.deepEqual(events, ['begin forward 1', 'info the inner agent answers']);
  watch.stop();
  await until(() => events.includes('end 1'));
  await listening.close();
});

test('the start fails after a time, at once for an exposed socket, and when the agent is to end', async (context) => {
  const { directory, options, listen } = setUp(context);
  await assert.rejects(InnerWatch.start(options(100)), {
    name: 'CannotApply',
    message: /no answer within 0\.1 s: the inner agent is not available: .* does not exist$/,
  });
  await assert.rejects(
    InnerWatch.start(
      options(10_000, () => {
        throw new Error('stopped');
      }),
    ),
    { message: 'stopped' },
  );
  const listening = await listen(() => Status.NOT_SERVING);
  await assert.rejects(InnerWatch.start(options(100)), { message: /it answers Check with NOT_SERVING$/ });
  chmodSync(directory, 0o777);
  const begin = performance.now();
  await assert.rejects(InnerWatch.start(options(10_000)), { message: /other users can write to it/ });
  assert.ok(performance.now() - begin < 5_000);
  chmodSync(directory, 0o700);
  await listening.close();
});

test('its end and its return are logged and recorded', async (context) => {
  const { events, options, listen } = setUp(context);
  const listening = await listen();
  const watch = await InnerWatch.start(options(1_000));
  await listening.close();
  await until(() => events.includes('end 1'));
  await until(() => events.some((event) => event.startsWith('warn the inner agent does not answer')));
  const again = await listen();
  await until(() => events.includes('begin forward 2'));
  assert.deepEqual(events, [
    'begin forward 1',
    'info the inner agent answers',
    'end 1',
    'error the inner agent is gone: calls are answered with UNAVAILABLE',
    'warn the inner agent does not answer',
    'begin forward 2',
    'info the inner agent answers',
  ]);
  watch.stop();
  await again.close();
});
