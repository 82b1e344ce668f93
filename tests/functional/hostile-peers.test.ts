import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { frame, frameType, header, requestFrame } from '../harness/raw-frame.js';
import { answerOf } from '../harness/sweep.js';

/** The maximum of concurrent connections in these tests. */
const connections = 8;

describe('a hostile peer loses its connection and does not affect the agent (S14–S17)', () => {
  let agent: AgentProcess;
  let other: AgentConnection;

  before(async () => {
    agent = await AgentProcess.start({
      config: `[api]\nallowed_endpoints = ["*"]\n[limits]\nconnections = ${connections}\nframe_timeout = "1s"\n`,
    });
    other = await agent.connect();
  });
  after(() => agent.dispose());
  beforeEach(async () => {
    assert.equal((await answerOf(other.health.check({}))).code, 'OK', 'another client is served before');
  });

  async function peer(): Promise<Socket> {
    const socket = connect(agent.socketPath);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  }

  async function othersGoOn(): Promise<void> {
    assert.equal((await answerOf(other.health.check({}))).code, 'OK', 'another client is served after');
    assert.equal(agent.process.exitCode, null, 'the agent lives');
  }

  /** Returns everything that the agent sends until it closes the connection. */
  async function untilClosed(socket: Socket): Promise<Buffer> {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(socket, 'close');
    return Buffer.concat(chunks);
  }

  it('a frame of two million empty sub-messages is rejected before it is decoded', async () => {
    const bomb = Buffer.alloc(4 * 1024 * 1024 - 100, Buffer.from([0x2a, 0x00]));
    const socket = await peer();
    socket.write(requestFrame(1, 'CreateContainer', bomb));
    const [reply] = (await once(socket, 'data')) as [Buffer];
    assert.match(reply.toString('latin1'), /20,?000/);
    socket.destroy();
    await othersGoOn();
    const recorded = () =>
      agent.records().some(({ kind, method }) => kind === 'refusal' && method === 'CreateContainer');
    while (!recorded()) await delay(5);
  });

  it('a declared length of 2 GiB gets an error, and the connection is closed', async () => {
    const socket = await peer();
    socket.write(header(0x7fff_ffff, 1, frameType.request));
    const answer = await untilClosed(socket);
    assert.ok(answer.length > 10, 'a status came back');
    assert.equal(answer.readUInt32BE(4), 1, 'on the stream that asked');
    await othersGoOn();
  });

  for (const [name, bytes] of [
    ['an even stream id', requestFrame(2, 'GetGuestDetails')],
    [
      'a repeated stream id',
      Buffer.concat([requestFrame(3, 'GetGuestDetails'), requestFrame(3, 'GetGuestDetails')]),
    ],
    ['data on a stream that was never opened', frame(7, frameType.data, Buffer.from('x'))],
    ['an unknown type', frame(1, 200, Buffer.from('x'))],
    ['unknown flags', frame(1, frameType.request, Buffer.alloc(0), 0xff)],
    ['a request that is not a message', frame(1, frameType.request, Buffer.from([0xff, 0xff, 0xff]))],
    ['a response from a client', frame(1, frameType.response, Buffer.from('x'))],
  ] as const) {
    it(name, async () => {
      const socket = await peer();
      socket.write(bytes);
      // An answered valid request on the same connection shows that the earlier frames were processed.
      socket.write(requestFrame(101, 'ListRoutes'));
      await Promise.race([once(socket, 'data'), once(socket, 'close')]);
      socket.destroy();
      await othersGoOn();
    });
  }

  it('random bytes', async () => {
    for (let round = 0; round < 20; round++) {
      const socket = await peer();
      socket.end(randomBytes(4096));
      socket.resume();
      await once(socket, 'close');
    }
    await othersGoOn();
  });

  it('a frame that arrives byte by byte and never ends loses its connection', async () => {
    const socket = await peer();
    const bytes = requestFrame(1, 'ListRoutes');
    let sent = 0;
    const timer = setInterval(() => socket.write(bytes.subarray(sent, ++sent)), 300);
    await once(socket, 'close');
    clearInterval(timer);
    assert.ok(sent < bytes.length, `closed after ${sent} of ${bytes.length} bytes`);
    await othersGoOn();
  });

  it('connections over the limit are closed at once', async () => {
    const tooMany = 200 - (connections - 1);
    const sockets = await Promise.all(Array.from({ length: 200 }, peer));
    let closed = 0;
    await new Promise<void>((resolve) => {
      for (const socket of sockets) {
        socket.resume().once('close', () => {
          closed += 1;
          if (closed === tooMany) resolve();
        });
      }
    });
    await othersGoOn();
    assert.equal(closed, tooMany, 'those within the limit stay');
    for (const socket of sockets) socket.destroy();
    await othersGoOn();
  });

  it('a peer that never reads is no longer served, and others are not affected', async () => {
    const socket = await peer();
    socket.pause();
    for (let id = 1; id < 20_000; id += 2) socket.write(requestFrame(id, 'ListRoutes'));
    await othersGoOn();
    socket.destroy();
    await othersGoOn();
  });
});
