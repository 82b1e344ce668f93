import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { agentNodeOptions } from '@kata-agent/tool-bundle/node-options';
import { wrapperProgram } from '@kata-agent/tool-guest-image/program/wrapper';
import type { FileEntry } from '@kata-agent/tool-guest-image/tree/archive';
import { developerHome, firstProgram } from '@kata-agent/tool-vm/image';
import { runtimeName } from '../harness/oci-runtime.js';
import { agentIn, boot, type Image, imageOf, listening, poweredOff, shell, whyNoMachine } from './machine.js';

/** The OCI runtime in the image. */
const runtimePath = runtimeName === 'crun' ? '/usr/bin/crun' : '/usr/sbin/runc';

const skip = whyNoMachine() ?? false;
/** The agent's file, and its command line: the wrapper's options are those of the image. */
const agentFile = '/usr/lib/kata-agent/kata-agent.cjs';
const node = ['/usr/bin/node', ...agentNodeOptions];

function configuration(text: string): FileEntry {
  return { path: '/etc/kata-agent/config.toml', data: Buffer.from(text), mode: 0o644 };
}

/** The same image with another name of the agent's first program, and one more argument. */
function withArgument(...words: readonly string[]): FileEntry {
  return {
    path: '/usr/bin/kata-agent',
    data: wrapperProgram([...node, agentFile, ...words]),
    mode: 0o755,
  };
}

/** Loads the agent into a program that watches its log: `after(TEXT, ACT)` acts once, when a line contains TEXT. */
function aroundAgent(faults: string, ...flags: readonly string[]): readonly FileEntry[] {
  const path = `${developerHome}/around.mjs`;
  const text = `
    const acts = [];
    const after = (text, act) => acts.push({ text, act });
    const write = process.stderr.write.bind(process.stderr);
    process.stderr.write = (line, ...rest) => {
      const index = acts.findIndex(({ text }) => String(line).includes(text));
      if (index >= 0) setImmediate(acts.splice(index, 1)[0].act);
      return write(line, ...rest);
    };
    ${faults}
    await import(${JSON.stringify(agentFile)});
  `;
  return [
    { path, data: Buffer.from(text), mode: 0o644 },
    {
      path: '/usr/bin/kata-agent',
      data: wrapperProgram([...node, ...flags, path]),
      mode: 0o755,
    },
  ];
}

/**
 * A first program that sets up the guest as the agent does as PID 1, and runs the agent as a child, once with each of
 * these arguments.
 */
function otherInit(runs: readonly string[]): string {
  return `#!/bin/busybox sh
    export PATH=/usr/sbin:/usr/bin
    busybox mount -t proc proc /proc
    busybox mount -t sysfs sysfs /sys
    busybox mount -t devtmpfs devtmpfs /dev
    busybox mount -t tmpfs run /run
    busybox mount -t cgroup2 cgroup /sys/fs/cgroup
    busybox modprobe -q virtio_pci
    busybox modprobe -a virtio_net vmw_vsock_virtio_transport vsock_loopback
    busybox ifconfig eth0 10.0.2.15 up
    node ${developerHome}/relay.mjs &
    ${runs
      .map(
        (words, index) => `
    busybox mkfifo /run/log
    while read -r line; do
      case $line in *'"msg":"listening"'*) echo 'init: run ${index + 1} listens' ;; *) echo "$line" ;; esac
    done </run/log &
    ${[...node, agentFile].join(' ')} ${words} 2>/run/log
    echo "init: run ${index + 1} ended with code $?"
    busybox rm /run/log`,
      )
      .join('\n')}
  `;
}

describe('a guest whose agent cannot start prints why, and powers off', { skip }, () => {
  let directory = '';
  let image: Image;
  let count = 0;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-vm-ends-'));
    image = await imageOf('bare', {});
  });

  after(() => rmSync(directory, { recursive: true, force: true }));

  /** Boots without the relay, and returns the console's output until power-off. */
  async function console(overlay: readonly FileEntry[], memory = 512): Promise<string> {
    const machine = await boot(image, join(directory, String(++count)), { bare: true, overlay, memory });
    await poweredOff(machine);
    return machine.lines.join('\n');
  }

  it('an invalid configuration', async () => {
    const output = await console([configuration('[api]\nallowed_endpoints = ["ExecProces"]\n')]);
    assert.match(
      output,
      /config\.toml:2:22: error\[KA1201\]: unknown endpoint "ExecProces" in allowed_endpoints/,
    );
    assert.match(output, /did you mean "ExecProcess"\?/);
    assert.match(output, /PID 1 ends with code 1; the machine is powered off/);
  });

  it('no configuration although one is required', async () => {
    const output = await console([withArgument('--require-config')]);
    assert.match(output, /there is no configuration/);
    assert.match(output, /PID 1 ends with code 1; the machine is powered off/);
  });

  it('an address that is not the guest’s', async () => {
    const output = await console([
      configuration('[agent]\nserver_addr = "vsock://77:1024"\n[api]\nallowed_endpoints = ["@pod"]\n'),
    ]);
    assert.match(output, /EADDRNOTAVAIL.*77 is not the context id of this machine/);
    assert.match(output, /PID 1 ends with code 3; the machine is powered off/);
  });

  it('a program that cannot be run at all: the kernel panics', async () => {
    const output = await console([{ path: '/usr/bin/node', data: Buffer.from('no program'), mode: 0o755 }]);
    assert.match(output, /kata-agent: \/usr\/bin\/node cannot be run/);
    assert.match(output, /Kernel panic/);
  });

  it('too little memory: the kernel panics', async () => {
    const output = await console([], 160);
    assert.match(output, /Initramfs unpacking failed/);
    assert.match(output, /Kernel panic/);
    assert.doesNotMatch(output, listening);
  });

  it('no runc, although containers are to be created', async () => {
    const gone = { path: runtimePath, data: Buffer.alloc(0), mode: 0o644 };
    const output = await console([gone]);
    assert.match(
      output,
      /CreateContainer is served, but no runc or crun in \S*:\/usr\/sbin:\S*: install one/,
    );
    assert.match(output, /PID 1 ends with code 3; the machine is powered off/);
    assert.doesNotMatch(output, listening);
  });
});

describe('a guest whose agent fails after it listens', { skip }, () => {
  let directory = '';
  let image: Image;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-vm-fails-'));
    image = await imageOf('bare', {});
  });

  after(() => rmSync(directory, { recursive: true, force: true }));

  it('exits in order when it is stopped before it listens: PID 1 has no other end', async () => {
    const overlay = aroundAgent(`
      process.on('newListener', (name) => { if (name === 'SIGTERM') setImmediate(() => process.kill(1, name)); });
    `);
    const machine = await boot(image, join(directory, 'stopped'), { bare: true, overlay });
    await poweredOff(machine);
    const output = machine.lines.join('\n');
    assert.match(output, /PID 1 ends with code 0; the machine is powered off/);
    assert.doesNotMatch(output, listening);
  });

  it('continues after an uncaught fault, and powers off when its program exits', async () => {
    const overlay = aroundAgent(`
      after('"msg":"listening"', () => { throw new Error('a fault in a callback'); });
      after('a fault in a callback', () => { void Promise.reject(new Error('a fault in a promise')); });
      after('a fault in a promise', () => process.exit(5));
    `);
    const machine = await boot(image, join(directory, 'faults'), {
      bare: true,
      overlay,
      append: ['agent.on_end=exit'],
    });
    await poweredOff(machine);
    const output = machine.lines.join('\n');
    assert.match(output, /there is no configuration: the full API is served/);
    assert.match(output, /PID 1 cannot exit: on_end = \\"exit\\" powers off/);
    assert.match(output, /a fault in a promise.*"msg":"fault outside a handler"/);
    assert.match(output, /PID 1 ends with code 5; the machine is powered off/);
    assert.doesNotMatch(output, /Kernel panic/);
  });

  it('ends when Node itself crashes, even if the kernel command line makes a panic hang', async () => {
    const overlay = aroundAgent(
      `after('"msg":"listening"', () => { for (const all = []; ; ) all.push(new Array(1e5).fill(0.5)); });`,
      '--max-old-space-size=64',
    );
    // The last word takes effect.
    const append = ['panic=0'];
    const machine = await boot(image, join(directory, 'crash'), { bare: true, overlay, append });
    try {
      await machine.line(/Rebooting in|end Kernel panic/);
      assert.match(machine.lines.join('\n'), /JavaScript heap out of memory/);
      assert.match(machine.lines.join('\n'), /Rebooting in 1 seconds/);
      await poweredOff(machine);
    } finally {
      await machine.kill();
    }
  });
});

describe('a guest with its own init', { skip }, () => {
  it('continues when the agent fails or is stopped, and ends with the sandbox if configured', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kata-vm-init-'));
    const [relayed, off] = ['-c /etc/relayed.toml', '--on-end power-off'];
    const runs = ['--server-addr vsock://77:1024', `${relayed} ${off}`, relayed, `${relayed} ${off}`];
    const listener = '[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\npeers = ["cid:1"]\n';
    const overlay = [
      {
        path: '/etc/relayed.toml',
        data: Buffer.from(`[api]\nallowed_endpoints = ["@pod"]\n${listener}`),
        mode: 0o644,
      },
      { path: firstProgram, data: Buffer.from(otherInit(runs)), mode: 0o755 },
      { path: runtimePath, data: Buffer.alloc(0), mode: 0o644 },
    ];
    const machine = await boot(await imageOf('bare', {}), directory, { overlay });
    try {
      await machine.line(/init: run 1 ended with code 3/);
      await machine.line(/init: run 2 listens/);
      // It can still be installed.
      await machine.line(/no OCI runtime was found/);
      await shell(machine, `kill $(ps | sed -n 's/^ *\\([0-9]*\\) .*[k]ata-agent[.]cjs.*/\\1/p')`);
      await machine.line(/init: run 2 ended with code 0/);
      for (const run of [3, 4]) {
        await machine.line(new RegExp(`init: run ${run} listens`));
        const { agent, channel } = await agentIn(machine);
        await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
        await agent.destroySandbox({});
        channel.close();
        if (run === 3) await machine.line(/init: run 3 ended with code 0/);
      }
      await poweredOff(machine);
      const output = machine.lines.join('\n');
      assert.match(output, /kata-agent: the sandbox has ended; the machine is powered off/);
      assert.doesNotMatch(output, /init: run 4 ended|Kernel panic/);
    } finally {
      await machine.kill();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
