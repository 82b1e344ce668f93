import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { AgentService } from '@kata-agent/protocol/agent';
import type { Channel, Client } from '@kata-agent/ttrpc';
import { sha256 } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import {
  agentIn,
  boot,
  dial,
  type Image,
  type ImageFile,
  imageOf,
  listening,
  type Machine,
  shell,
  whyNoMachine,
} from './machine.js';

const skip = whyNoMachine() ?? false;

/** As Kata's runtimes number them. */
const ports = { log: 1025, console: 1026, stdio: 1027 } as const;

/** Every door is open, to the host and to these. */
const everyDoor = (peers: readonly string[]): ImageFile => ({
  path: '/etc/kata-agent/config.toml',
  mode: 0o644,
  data: Buffer.from(`[agent]
log_vport = ${ports.log}
debug_console = true
debug_console_vport = ${ports.console}
passfd_listener_port = ${ports.stdio}

[api]
release = "4.1"
allowed_endpoints = ["*"]

[[listener]]
name = "host"
address = "vsock://-1:1024"
peers = ${JSON.stringify(['host', ...peers])}
`),
});

async function all(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** What comes until there is a match. */
async function until(socket: Socket, pattern: RegExp): Promise<string> {
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (pattern.test(text)) return text;
  }
  throw new Error(`the end came before ${pattern}: ${text}`);
}

describe('the doors of a guest beside the API, over vsock', { skip }, () => {
  let image: Image;
  before(async () => {
    image = await imageOf('bare', {});
  });

  describe('for who is let in', () => {
    let folder = '';
    let machine: Machine;
    let agent: Client<typeof AgentService>;
    let channel: Channel;
    const rootfs = '/run/doors/rootfs';

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'kata-vm-doors-'));
      machine = await boot(image, folder, { overlay: [everyDoor(['cid:1'])] });
      await machine.line(listening);
      const links = ['sh', 'cat', 'echo'].map((name) => `ln -s busybox ${rootfs}/bin/${name}`);
      await shell(
        machine,
        [`mkdir -p ${rootfs}/bin`, `cp /usr/bin/busybox ${rootfs}/bin`, ...links].join(' && '),
      );
      ({ agent, channel } = await agentIn(machine));
      await agent.createSandbox({ sandboxId: 'pod' });
    });

    after(async () => {
      channel?.close();
      await machine?.kill();
      rmSync(folder, { recursive: true, force: true });
    });

    it('stdio: a process’s streams by the ports that they come from, and the end of each (S22)', async () => {
      const [stdin, stdout, stderr] = await Promise.all(
        [501, 502, 503].map((from) => dial(machine, ports.stdio, from)),
      );
      assert.ok(stdin && stdout && stderr);
      await agent.createContainer({
        ...containerRequest({ id: 'c', rootfs, args: ['sh', '-c', 'cat; echo over >&2; exit 5'] }),
        stdinPort: 501,
        stdoutPort: 502,
        stderrPort: 503,
      });
      await agent.startContainer({ containerId: 'c' });
      const sent = Buffer.alloc(4 << 20, 'over vsock ');
      stdin.end(sent);
      const [out, error] = await Promise.all([all(stdout), all(stderr)]);
      assert.equal(sha256(out), sha256(sent));
      assert.equal(String(error), 'over\n');
      assert.equal((await agent.waitProcess({ containerId: 'c', execId: '' })).status, 5);
    });

    it('stdio: of an exec, and of a terminal', async () => {
      const id = 'e';
      await agent.createContainer(containerRequest({ id, rootfs, args: ['cat'] }));
      await agent.startContainer({ containerId: id });
      const plain = await dial(machine, ports.stdio, 601);
      const process = processRequest(['echo', 'of the exec']);
      await agent.execProcess({ containerId: id, execId: 'plain', process, stdoutPort: 601 });
      assert.equal(String(await all(plain)), 'of the exec\n');

      const [keys, screen] = [await dial(machine, ports.stdio, 701), await dial(machine, ports.stdio, 702)];
      await agent.execProcess({
        containerId: id,
        execId: 'terminal',
        process: processRequest(['sh'], { terminal: true }),
        stdinPort: 701,
        stdoutPort: 702,
      });
      keys.write('test -t 0 && echo a "terminal"; exit 3\n');
      assert.match(String(await all(screen)), /^a terminal\r$/m);
      assert.equal((await agent.waitProcess({ containerId: id, execId: 'terminal' })).status, 3);
      keys.destroy();
      await agent.closeStdin({ containerId: id, execId: '' });
      assert.equal((await agent.waitProcess({ containerId: id, execId: '' })).status, 0);
    });

    it('the debug console: a shell of the guest on a terminal, for each who connects', async () => {
      const one = await dial(machine, ports.console);
      const other = await dial(machine, ports.console);
      one.write('echo "shell $((6*7))"; tty; cat /proc/1/cmdline; exit\n');
      other.write('tty\n');
      const text = String(await all(one));
      assert.match(text, /^shell 42\r$/m);
      assert.match(text, /kata-agent\.mjs/);
      const terminal = /^\/dev\/pts\/\d+/m;
      assert.notEqual(terminal.exec(text)?.[0], terminal.exec(await until(other, terminal))?.[0]);
      other.destroy();
      // Whoever hangs up takes the shell along.
      await shell(
        machine,
        'for try in $(seq 100); do ps | grep -q "[s]h -i" || exit 0; sleep 0.1; done; exit 1',
      );
      assert.match(machine.lines.join('\n'), /"peer":"cid 1".*debug console: a shell was started/);
    });

    it('the log: what was said from the start on, and each line as it comes', async () => {
      const log = await dial(machine, ports.log);
      const said = (await until(log, /"msg":"listening".*\n/)).split('\n').slice(0, -1);
      for (const line of said) assert.doesNotThrow(() => JSON.parse(line), line);
      assert.match(said.join('\n'), /"msg":"door open"/);
      const following = until(log, /a shell was started/);
      (await dial(machine, ports.console)).destroy();
      await following;
      log.destroy();
    });
  });

  describe('for who is not', () => {
    let folder = '';
    let machine: Machine;

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'kata-vm-doors-'));
      machine = await boot(image, folder, { overlay: [everyDoor([])] });
      await machine.line(listening);
    });

    after(async () => {
      await machine?.kill();
      rmSync(folder, { recursive: true, force: true });
    });

    it('turn away, and the record says who it was (S24)', async () => {
      for (const port of Object.values(ports))
        assert.equal(String(await all(await dial(machine, port))), '', `port ${port}`);
      const record = (await shell(machine, 'cat /run/kata-agent/audit.log')).split('\n');
      for (const door of ['stdio', 'debug console', 'log']) {
        const line = record.find((one) => one.includes(`"listener":"${door}"`)) ?? `no record of ${door}`;
        assert.match(line, /"peer":"cid 1"/);
        assert.match(line, /"deny"/);
      }
      assert.doesNotMatch(machine.lines.join('\n'), /a shell was started/);
    });
  });
});
