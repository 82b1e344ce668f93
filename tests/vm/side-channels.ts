import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sha256 } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { sideChannelPorts } from './side-channel-configuration.js';
import { imageRoot } from './hotplug.js';
import { dial, shell } from './machine.js';
import { bytesUntilEnd, textUntil } from './read-socket.js';
import type { RunningGuest } from './running-guest.js';

/** Every side channel accepts the relay, and the sandbox's storage is the image. */
export function testSideChannels(guest: RunningGuest): void {
  describe('side channels over vsock, for permitted peers', () => {
    it('stdio: a process’s streams by source port, and the end of each (S22)', async () => {
      const [stdin, stdout, stderr] = await Promise.all(
        [501, 502, 503].map((from) => dial(guest.machine, sideChannelPorts.stdio, from)),
      );
      assert.ok(stdin && stdout && stderr);
      await guest.agent.createContainer({
        ...containerRequest({ id: 'c', rootfs: imageRoot, args: ['sh', '-c', 'cat; echo over >&2; exit 5'] }),
        stdinPort: 501,
        stdoutPort: 502,
        stderrPort: 503,
      });
      await guest.agent.startContainer({ containerId: 'c' });
      const sent = Buffer.alloc(4 << 20, 'over vsock ');
      stdin.end(sent);
      const [out, error] = await Promise.all([bytesUntilEnd(stdout), bytesUntilEnd(stderr)]);
      assert.equal(sha256(out), sha256(sent));
      assert.equal(String(error), 'over\n');
      assert.equal((await guest.agent.waitProcess({ containerId: 'c', execId: '' })).status, 5);
    });

    it('stdio: of an exec, and of a terminal', async () => {
      const id = 'e';
      await guest.agent.createContainer(containerRequest({ id, rootfs: imageRoot, args: ['cat'] }));
      await guest.agent.startContainer({ containerId: id });
      const plain = await dial(guest.machine, sideChannelPorts.stdio, 601);
      const process = processRequest(['echo', 'of the exec']);
      await guest.agent.execProcess({ containerId: id, execId: 'plain', process, stdoutPort: 601 });
      assert.equal(String(await bytesUntilEnd(plain)), 'of the exec\n');

      const [keys, screen] = [
        await dial(guest.machine, sideChannelPorts.stdio, 701),
        await dial(guest.machine, sideChannelPorts.stdio, 702),
      ];
      await guest.agent.execProcess({
        containerId: id,
        execId: 'terminal',
        process: processRequest(['sh'], { terminal: true }),
        stdinPort: 701,
        stdoutPort: 702,
      });
      keys.write('test -t 0 && echo a "terminal"; exit 3\n');
      assert.match(String(await bytesUntilEnd(screen)), /^a terminal\r$/m);
      assert.equal((await guest.agent.waitProcess({ containerId: id, execId: 'terminal' })).status, 3);
      keys.destroy();
      await guest.agent.closeStdin({ containerId: id, execId: '' });
      assert.equal((await guest.agent.waitProcess({ containerId: id, execId: '' })).status, 0);
    });

    it('the log stream: lines from the start on, and each new one', async () => {
      const log = await dial(guest.machine, sideChannelPorts.log);
      const output = (await textUntil(log, /"msg":"listening".*\n/)).split('\n').slice(0, -1);
      for (const line of output) assert.doesNotThrow(() => JSON.parse(line), line);
      assert.match(output.join('\n'), /"msg":"side channel open"/);
      const following = textUntil(log, /a shell was started/);
      // The first shell in this guest. A peer that disconnects before it starts gets none.
      const asking = await dial(guest.machine, sideChannelPorts['debug console']);
      await following;
      asking.destroy();
      log.destroy();
    });

    it('the debug console: a shell of the guest on a terminal, for each connection', async () => {
      const one = await dial(guest.machine, sideChannelPorts['debug console']);
      const other = await dial(guest.machine, sideChannelPorts['debug console']);
      one.write('echo "shell $((6*7))"; tty; cat /proc/1/cmdline; exit\n');
      other.write('tty\n');
      const text = String(await bytesUntilEnd(one));
      assert.match(text, /^shell 42\r$/m);
      assert.match(text, /kata-agent\.[cm]js/);
      const terminal = /^\/dev\/pts\/\d+\r$/m;
      assert.notEqual(terminal.exec(text)?.[0], terminal.exec(await textUntil(other, terminal))?.[0]);
      other.destroy();
      // The shell ends with its connection.
      await shell(
        guest.machine,
        'for try in $(seq 300); do ps | grep -q "[s]h -i" || exit 0; sleep 0.1; done; exit 1',
      );
      await guest.machine.line(/"peer":"cid 1".*debug console: a shell was started/);
    });
  });
}
