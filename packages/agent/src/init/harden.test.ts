import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { guestMounts } from './guest-mounts.js';
import { harden, ownsKernel } from './harden.js';
import { hardenedSysctls } from './hardened-sysctls.js';
import { hardeningPage } from './hardening-page.js';
import { ModuleLock } from './module-lock.js';

let proc = '';
let lines: string[] = [];
const log = (level: string, message: string, extras: object = {}): void =>
  void lines.push(`${level}: ${message} ${JSON.stringify(extras)}`);

const fileOf = (name: string): string => join(proc, 'sys', ...name.split('.'));
const set = (name: string, value: string): void => {
  mkdirSync(dirname(fileOf(name)), { recursive: true });
  writeFileSync(fileOf(name), value);
};
const value = (name: string): string => readFileSync(fileOf(name), 'utf8').trim();

beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'harden-'));
  lines = [];
  for (const { name } of hardenedSysctls) set(name, '9\n');
});
afterEach(() => rmSync(proc, { recursive: true }));

describe('the kernel of a guest', () => {
  it('has the values of the table before the agent listens', () => {
    const held = harden(log, proc);
    assert.deepEqual(
      held,
      hardenedSysctls.map(({ name }) => name),
    );
    for (const { name, value: wanted } of hardenedSysctls)
      assert.match(value(name), new RegExp(`^${wanted}`), name);
    assert.match(lines.join('\n'), /info: hardened/);
  });

  it('keeps what is stricter, and is written to only where that changes something', () => {
    set('kernel.yama.ptrace_scope', '3\n');
    set('kernel.kexec_load_disabled', '1\n');
    chmodSync(fileOf('kernel.kexec_load_disabled'), 0o400);
    harden(log, proc);
    assert.equal(value('kernel.yama.ptrace_scope'), '3');
    assert.equal(value('kernel.kexec_load_disabled'), '1');
  });

  it('may lack a sysctl, and takes no value of another kind', () => {
    rmSync(fileOf('kernel.yama.ptrace_scope'));
    rmSync(fileOf('kernel.sysrq'));
    mkdirSync(fileOf('kernel.sysrq'));
    const held = harden(log, proc);
    assert.equal(held.length, hardenedSysctls.length - 2);
    assert.ok(!held.includes('kernel.sysrq'));
    assert.match(lines[0] ?? '', /warn: a sysctl stays as it is .*"sysctl":"kernel\.sysrq"/);
    assert.match(lines.at(-1) ?? '', /"missing":"kernel\.yama\.ptrace_scope"/);
  });

  it('is left alone by PID 1 of a container, whose kernel is another machine’s', () => {
    assert.equal(ownsKernel(2), false);
    assert.equal(ownsKernel(1, '/proc/self/ns/net'), false);
    const program = `import(${JSON.stringify(import.meta.resolve('./harden.js'))}).then((m) => console.log(process.pid, m.ownsKernel()))`;
    const args = [
      '--user',
      '--map-root-user',
      '--pid',
      '--fork',
      '--mount-proc',
      process.execPath,
      '-e',
      program,
    ];
    const { status, stdout } = spawnSync('unshare', args, { encoding: 'utf8' });
    // Not everybody may make namespaces.
    if (status === 0) assert.equal(stdout.trim(), '1 false');
  });

  it('is told of on a page, each sysctl with its reason', () => {
    for (const { name, value: wanted, reason } of hardenedSysctls)
      assert.ok(
        hardeningPage().includes(`| \`${name}\` | \`${wanted}\``) && hardeningPage().includes(reason),
        name,
      );
  });

  it('is told of on a page, each option of a mount with its reason', () => {
    const page = hardeningPage();
    for (const { target, options } of guestMounts)
      for (const option of options)
        assert.match(page, new RegExp(`^\\| \`${option}\` \\| .+ \\|$`, 'm'), target);
  });
});

describe('the last kernel module', () => {
  const lock = (
    complaint?: string,
  ): { readonly lock: ModuleLock; readonly loaded: (readonly string[])[] } => {
    const loaded: (readonly string[])[] = [];
    const load = async (names: readonly string[]): Promise<string | undefined> => {
      assert.equal(value('kernel.modules_disabled'), '0', 'loaded before it is locked');
      loaded.push(names);
      return complaint;
    };
    const paths = { list: join(proc, 'late.conf'), sysctl: fileOf('kernel.modules_disabled') };
    return { lock: new ModuleLock({ log, load, ...paths }), loaded };
  };
  beforeEach(() => set('kernel.modules_disabled', '0\n'));

  it('is the last of the image’s list', async () => {
    writeFileSync(join(proc, 'late.conf'), '# for containers\noverlay\nnf_tables\n');
    const tested = lock();
    await tested.lock.lock();
    assert.deepEqual(tested.loaded, [['overlay', 'nf_tables']]);
    assert.equal(value('kernel.modules_disabled'), '1');
    await tested.lock.lock();
    assert.equal(tested.loaded.length, 1, 'once');
  });

  it('does not come where the image has no list', async () => {
    await lock().lock.lock();
    assert.equal(value('kernel.modules_disabled'), '0');
    assert.match(lines[0] ?? '', /info: kernel modules can still be loaded/);
  });

  it('comes although one is missing', async () => {
    writeFileSync(join(proc, 'late.conf'), 'overlay\n');
    await lock('no overlay').lock.lock();
    assert.equal(value('kernel.modules_disabled'), '1');
    assert.match(lines[0] ?? '', /warn: .*no overlay/);
  });

  it('is no matter for a kernel without modules, and a failure is told', async () => {
    writeFileSync(join(proc, 'late.conf'), '');
    rmSync(fileOf('kernel.modules_disabled'));
    const list = join(proc, 'late.conf');
    const load = async (): Promise<undefined> => undefined;
    await new ModuleLock({ log, load, list, sysctl: join(proc, 'none') }).lock();
    assert.deepEqual(lines, []);
    await new ModuleLock({ log, load, list, sysctl: proc }).lock();
    assert.match(lines[0] ?? '', /error: kernel modules can still be loaded/);
  });
});
