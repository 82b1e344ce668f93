import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { processRequest } from '../harness/container-request.js';
import { repository } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';

const config = `[agent]
passfd_listener_port = 1027

[api]
release = "4.1"
on_denied_read = "eof"

[[listener]]
name = "host"
address = "vsock://-1:1024"
allowed_endpoints = ["CreateSandbox", "GetGuestDetails", "ExecProcess"]

[[listener]]
name = "tenant"
address = "vsock://-1:1025"
peers = ["uid:0", "uid:4242"]
allowed_endpoints = ["@exec", "@stdio", "GetGuestDetails"]
on_denied_read = "error"

[[listener]]
name = "reader"
address = "vsock://-1:1026"
peers = ["any"]
allowed_endpoints = ["ReadStdout"]
blocked_endpoints = ["ReadStdout"]
limits = { connections = 2 }

[[api.rule]]
name = "details-for-the-host"
endpoints = ["GetGuestDetails"]
expression = 'listener == "host"'

[[api.rule]]
name = "no-root-of-a-tenant"
endpoints = ["ExecProcess"]
expression = 'listener != "tenant" || peer.uid == 4242u'
`;

describe('several listeners of one agent (R14)', () => {
  let agent: AgentProcess;
  let host: AgentConnection;
  let tenant: AgentConnection;
  before(async () => {
    agent = await AgentProcess.start({ config });
    host = await agent.connect();
    tenant = await agent.connect({ port: 1025 });
  });
  after(() => agent.dispose());

  it('each serves its own list and no method of another', async () => {
    assert.equal((await answerOf(host.agent.createSandbox({ sandboxId: 'pod' }))).code, 'OK');
    const created = await answerOf(tenant.agent.createSandbox({ sandboxId: 'pod' }));
    assert.equal(created.code, 'UNIMPLEMENTED');
    assert.match(created.message, /not in allowed_endpoints of listener "tenant"/);
    const written = { containerId: 'c', execId: '', data: new Uint8Array(1) };
    assert.equal((await answerOf(tenant.agent.writeStdin(written))).code, 'INVALID_ARGUMENT');
    assert.equal((await answerOf(host.agent.writeStdin(written))).code, 'UNIMPLEMENTED');
    assert.equal((await answerOf(tenant.health.check({}))).code, 'OK');
  });

  it('one rule denies on one of them only, and by peer', async () => {
    assert.equal((await answerOf(host.agent.getGuestDetails({}))).code, 'OK');
    const denied = await answerOf(tenant.agent.getGuestDetails({}));
    assert.equal(denied.code, 'PERMISSION_DENIED');
    assert.match(denied.message, /details-for-the-host/);
    const exec = { containerId: 'c', execId: 'e', process: processRequest(['sh']) };
    assert.equal((await answerOf(host.agent.execProcess(exec))).code, 'INVALID_ARGUMENT');
    assert.match((await answerOf(tenant.agent.execProcess(exec))).message, /no-root-of-a-tenant/);
    if (process.getuid?.() !== 0) return;
    const { agent: user } = await agent.connect({ port: 1025, uid: 4242 });
    assert.equal((await answerOf(user.execProcess(exec))).code, 'INVALID_ARGUMENT');
  });

  it('each answers denied reads as it says, or as [api] says', async () => {
    const read = { containerId: 'c', execId: '', len: 10 };
    assert.equal((await host.agent.readStdout(read)).data.length, 0);
    assert.equal((await answerOf(tenant.agent.readStdout(read))).code, 'INVALID_ARGUMENT');
    const { agent: reader, channel } = await agent.connect({ port: 1026 });
    assert.equal((await reader.readStdout(read)).data.length, 0);
    channel.close();
    const strict = '[[listener]]\nname = "strict"\naddress = "vsock://-1:1024"\non_denied_read = "error"\n';
    const other = await AgentProcess.start({
      config: `[api]\nblocked_endpoints = ["ReadStdout"]\non_denied_read = "eof"\n${strict}`,
    });
    try {
      const { agent: client } = await other.connect();
      assert.equal((await answerOf(client.readStdout(read))).code, 'UNIMPLEMENTED');
    } finally {
      await other.dispose();
    }
  });

  it('each accepts its own peers', { skip: process.getuid?.() === 0 ? false : 'needs root' }, async () => {
    const stranger = await agent.connect({ port: 1025, uid: 77 });
    await assert.rejects(stranger.agent.getGuestDetails({}));
    const user = await agent.connect({ port: 1025, uid: 4242 });
    assert.equal((await answerOf(user.health.check({}))).code, 'OK');
  });

  it('stdio ports are for calls on the first one, whose peers connect to them (S22)', async () => {
    const exec = { containerId: 'c', execId: 'e', process: processRequest(['sh']), stdoutPort: 5 };
    const onHost = await answerOf(host.agent.execProcess(exec));
    assert.equal(onHost.code, 'PERMISSION_DENIED');
    assert.match(onHost.message, /ReadStdout is not served here/);
    if (process.getuid?.() !== 0) return;
    const { agent: user } = await agent.connect({ port: 1025, uid: 4242 });
    const onTenant = await answerOf(user.execProcess(exec));
    assert.equal(onTenant.code, 'PERMISSION_DENIED');
    assert.match(onTenant.message, /are for calls on the listener "host"/);
  });

  it('a full table of connections at one leaves the others open', async () => {
    const sockets: Socket[] = [];
    const dial = async () => {
      const socket = connect(`${agent.directory}/1026.sock`);
      socket.on('error', () => undefined);
      sockets.push(socket);
      await once(socket, 'connect');
      return socket;
    };
    try {
      await dial();
      await dial();
      await once(await dial(), 'close');
      for (const port of [undefined, 1025]) {
        const connection = await agent.connect(port === undefined ? {} : { port });
        assert.equal((await answerOf(connection.health.check({}))).code, 'OK');
        connection.channel.close();
      }
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  it('each attempt is recorded under its listener and peer', async () => {
    await agent.stop();
    assert.ok(agent.log.some((line) => line.includes('"listener":"reader","limit":"2"')));
    const seen = new Set(
      agent.records().map((record) => {
        const {
          kind,
          listener,
          method,
          peer = '',
          decision,
        } = record as {
          readonly kind: string;
          readonly listener?: string;
          readonly method?: string;
          readonly peer?: string;
          readonly decision?: { readonly outcome: string; readonly rule?: string };
        };
        const uid = /uid \d+$/.exec(peer)?.[0];
        const rule = decision?.rule === undefined ? '' : ` ${decision.rule}`;
        return `${kind} ${listener ?? ''} ${uid ?? ''} ${method ?? ''}${rule}`;
      }),
    );
    const uid = `uid ${process.getuid?.() ?? 0}`;
    for (const record of [
      `intent host ${uid} CreateSandbox`,
      `refusal tenant ${uid} CreateSandbox`,
      `refusal host ${uid} WriteStdin`,
      `call host ${uid} GetGuestDetails`,
      `refusal tenant ${uid} GetGuestDetails details-for-the-host`,
      `refusal tenant ${uid} ExecProcess no-root-of-a-tenant`,
      `refusal host ${uid} ReadStdout`,
      `refusal reader ${uid} ReadStdout`,
      ...(uid === 'uid 0'
        ? ['refusal tenant uid 77 (connection)', 'intent tenant uid 4242 ExecProcess']
        : []),
    ])
      assert.ok(seen.has(record), `${record}\n${[...seen].join('\n')}`);
  });
});

describe('an address that is not available', () => {
  it('ends the start, also if it is that of the second listener', async () => {
    const { code, stderr } = await AgentProcess.run({
      config: `[api]\nallowed_endpoints = ["@pod"]\n[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\n[[listener]]\nname = "tenant"\naddress = "unix:///nowhere/t.sock"\n`,
    });
    assert.equal(code, 3);
    assert.match(
      stderr,
      /listener tenant at unix:\/\/\/nowhere\/t\.sock: .*create the directory of the socket/,
    );
  });
});

describe('a flood at one listener', () => {
  it('delays no call on another', async () => {
    const agent = await AgentProcess.start({
      config:
        '[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\nallowed_endpoints = ["GetGuestDetails"]\n[[listener]]\nname = "tenant"\naddress = "vsock://-1:1025"\nallowed_endpoints = ["GetMetrics"]\n',
    });
    const sockets: Socket[] = [];
    try {
      const { agent: host } = await agent.connect();
      const body = Buffer.from('\x0a\x11grpc.AgentService\x12\x0aGetMetrics', 'latin1');
      const requests = Array.from({ length: 1024 }, (_, index) => {
        const header = Buffer.alloc(10);
        header.writeUInt32BE(body.length, 0);
        header.writeUInt32BE(2 * index + 1, 4);
        header.writeUInt8(1, 8);
        return Buffer.concat([header, body]);
      });
      // A scrape takes a millisecond: 16 s for all of them, in which nothing else was answered.
      for (let count = 0; count < 16; count += 1) {
        const socket = connect(`${agent.directory}/1025.sock`);
        socket.on('error', () => undefined);
        sockets.push(socket);
        await once(socket, 'connect');
      }
      for (const socket of sockets) socket.write(Buffer.concat(requests));
      for (let count = 0; count < 20; count += 1)
        assert.equal((await answerOf(host.getGuestDetails({}, { timeoutMs: 4_000 }))).code, 'OK');
      for (const socket of sockets) assert.equal(socket.destroyed, false);
    } finally {
      for (const socket of sockets) socket.destroy();
      await agent.dispose();
    }
  });
});

describe('further documents', () => {
  it('narrow the peers and the connections of one listener (S25)', async () => {
    const base = `[api]\nallowed_endpoints = ["GetGuestDetails"]\n[delivery]\naccept = ["drop_ins"]\ndrop_in_dir = "/run/drop"\n[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\npeers = ["any"]\n[[listener]]\nname = "tenant"\naddress = "vsock://-1:1025"\npeers = ["any"]\n`;
    const later =
      '[[listener]]\nname = "tenant"\npeers = ["uid:4242"]\nlimits = { connections = 1 }\nblocked_endpoints = ["GetGuestDetails"]\n';
    const quoted = `'${later.replaceAll('\n', '\\n')}'`;
    const agent = await AgentProcess.start({
      config: base,
      setup: `mkdir -m 755 /run/drop && printf ${quoted} > /run/drop/10.toml && chmod 644 /run/drop/10.toml`,
      args: ['--relaxed-permissions'],
    });
    try {
      const { agent: host } = await agent.connect();
      assert.equal((await answerOf(host.getGuestDetails({}))).code, 'OK');
      const { agent: tenant, socket } = await agent.connect({ port: 1025 });
      const closed = new Promise((resolve) => socket.once('close', resolve));
      await assert.rejects(tenant.getGuestDetails({}));
      await closed;
      if (process.getuid?.() !== 0) return;
      const { agent: user } = await agent.connect({ port: 1025, uid: 4242 });
      assert.equal((await answerOf(user.getGuestDetails({}))).code, 'UNIMPLEMENTED');
      const second = await agent.connect({ port: 1025, uid: 4242 });
      await assert.rejects(second.agent.getGuestDetails({}));
    } finally {
      await agent.dispose();
    }
  });
});

describe('examples/tenant.toml', () => {
  it('opens both listeners; the tenant is denied what the host has', async () => {
    const text = readFileSync(`${repository}examples/tenant.toml`, 'utf8');
    const agent = await AgentProcess.start({
      config: text.replace('unix:///run/kata-tenant.sock', 'vsock://-1:1025').replace('uid:1000', 'uid:0'),
    });
    try {
      const { agent: host } = await agent.connect();
      const { agent: tenant } = await agent.connect({ port: 1025 });
      const exec = { containerId: 'c', execId: 'e', process: processRequest(['sh']) };
      assert.equal((await answerOf(host.execProcess(exec))).code, 'UNIMPLEMENTED');
      assert.equal((await answerOf(tenant.execProcess(exec))).code, 'INVALID_ARGUMENT');
      assert.equal((await answerOf(tenant.createSandbox({}))).code, 'UNIMPLEMENTED');
      const signal = { containerId: 'c', execId: 'c', signal: 9 };
      assert.match((await answerOf(tenant.signalProcess(signal))).message, /tenant-commands/);
      assert.equal((await answerOf(host.signalProcess(signal))).code, 'INVALID_ARGUMENT');
    } finally {
      await agent.dispose();
    }
  });
});
