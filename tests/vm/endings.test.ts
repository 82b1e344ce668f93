import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { boot, type Image, type ImageFile, imageOf, listening, scripts, whyNoMachine } from './machine.js';

const skip = whyNoMachine() ?? false;
const agent = ['/usr/bin/node', '/usr/lib/kata-agent/kata-agent.mjs'];

function configuration(text: string): ImageFile {
  return { path: '/etc/kata-agent/config.toml', data: Buffer.from(text), mode: 0o644 };
}

/** The same image under another name of the agent's first program, with one more argument. */
function withArgument(...words: readonly string[]): ImageFile {
  return { path: '/usr/bin/kata-agent', data: scripts.wrapperProgram([...agent, ...words]), mode: 0o755 };
}

describe('a guest whose agent cannot start says why, and ends by itself', { skip }, () => {
  let folder = '';
  let image: Image;
  let count = 0;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-vm-ends-'));
    image = await imageOf('bare', {});
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Boots without the relay, and answers all that the console said until the machine was off. */
  async function console(overlay: readonly ImageFile[], memory = 512): Promise<string> {
    const machine = await boot(image, join(folder, String(++count)), { bare: true, overlay, memory });
    await machine.ended;
    return machine.lines.join('\n');
  }

  it('an invalid configuration', async () => {
    const said = await console([configuration('[api]\nallowed_endpoints = ["ExecProces"]\n')]);
    assert.match(said, /config\.toml:2:22: unknown endpoint "ExecProces" in allowed_endpoints/);
    assert.match(said, /did you mean "ExecProcess"\?/);
    assert.match(said, /PID 1 ends with code 1; the machine is powered off/);
  });

  it('no configuration where one is required', async () => {
    const said = await console([withArgument('--require-config')]);
    assert.match(said, /there is no configuration/);
    assert.match(said, /PID 1 ends with code 1; the machine is powered off/);
  });

  it('an address that is not the guest’s', async () => {
    const said = await console([
      configuration('[agent]\nserver_addr = "vsock://77:1024"\n[api]\nallowed_endpoints = ["@pod"]\n'),
    ]);
    assert.match(said, /EADDRNOTAVAIL.*77 is not the context id of this machine/);
    assert.match(said, /PID 1 ends with code 3; the machine is powered off/);
  });

  it('a program that cannot be run at all: the kernel ends it', async () => {
    const said = await console([{ path: agent[0] ?? '', data: Buffer.from('no program'), mode: 0o755 }]);
    assert.match(said, /kata-agent: \/usr\/bin\/node cannot be run/);
    assert.match(said, /Kernel panic/);
  });

  it('too little memory: the kernel ends it', async () => {
    assert.match(await console([], 128), /Kernel panic|Out of memory|out of memory/i);
  });

  it('no runc is no reason to end: the agent listens, and says so', async () => {
    const gone = { path: '/usr/sbin/runc', data: Buffer.alloc(0), mode: 0o644 };
    const machine = await boot(image, join(folder, 'runc'), { bare: true, overlay: [gone] });
    await machine.line(listening);
    assert.match(machine.lines.join('\n'), /no OCI runtime|runc/i);
    assert.match(machine.lines.join('\n'), /there is no configuration: the full API is served/);
    await machine.kill();
  });
});
