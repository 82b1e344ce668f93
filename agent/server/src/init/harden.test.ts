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
import { ModuleLock } from './modules.js';

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

describe("hardening of the guest's kernel", () => {
  it('sets the sysctls of the table before the agent listens', () => {
    const held = harden(log, proc);
    assert.deepEqual(
      held,
      hardenedSysctls.map(({ name }) => name),
    );
    for (const { name, value: wanted } of hardenedSysctls)
      assert.match(value(name), new RegExp(`^${wanted}`), name);
    assert.match(lines.join('\n'), /info: hardened/);
  });

  it('keeps stricter values, and writes only changes', () => {
    set('kernel.yama.ptrace_scope', '3\n');
    set('kernel.kexec_load_disabled', '1\n');
    chmodSync(fileOf('kernel.kexec_load_disabled'), 0o400);
    harden(log, proc);
    assert.equal(value('kernel.yama.ptrace_scope'), '3');
    assert.equal(value('kernel.kexec_load_disabled'), '1');
  });

  it('accepts a missing sysctl and rejects a value of another type', () => {
    rmSync(fileOf('kernel.yama.ptrace_scope'));
    rmSync(fileOf('kernel.sysrq'));
    mkdirSync(fileOf('kernel.sysrq'));
    const held = harden(log, proc);
    assert.equal(held.length, hardenedSysctls.length - 2);
    assert.ok(!held.includes('kernel.sysrq'));
    assert.match(lines[0] ?? '', /warn: a sysctl was not changed .*"sysctl":"kernel\.sysrq"/);
    assert.match(lines.at(-1) ?? '', /"missing":"kernel\.yama\.ptrace_scope"/);
  });

  it('is skipped by PID 1 of a container, which does not own the kernel', () => {
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
    // Creating namespaces needs privileges.
    if (status === 0) assert.equal(stdout.trim(), '1 false');
  });

  it('documents each sysctl with its reason', () => {
    for (const { name, value: wanted, reason } of hardenedSysctls)
      assert.ok(
        hardeningPage().includes(`| \`${name}\` | \`${wanted}\``) && hardeningPage().includes(reason),
        name,
      );
  });

  it('documents each mount option with its reason', () => {
    const page = hardeningPage();
    for (const { target, options } of guestMounts)
      for (const option of options)
        assert.match(page, new RegExp(`^\\| \`${option}\` \\| .+ \\|$`, 'm'), target);
  });
});

describe('late kernel modules', () => {
  const lock = (
    complaint?: string,
  ): { readonly lock: ModuleLock; readonly loaded: (readonly string[])[] } => {
    const loaded: (readonly string[])[] = [];
    const load = async (names: readonly string[]): Promise<string | undefined> => {
      assert.equal(value('kernel.modules_disabled'), '0', 'are loaded before module loading is disabled');
      loaded.push(names);
      return complaint;
    };
    const paths = { list: join(proc, 'late.conf'), sysctl: fileOf('kernel.modules_disabled') };
    return { lock: new ModuleLock({ log, load, ...paths }), loaded };
  };
  beforeEach(() => set('kernel.modules_disabled', '0\n'));

  it("are those of the image's list", async () => {
    writeFileSync(join(proc, 'late.conf'), '# for containers\noverlay\nnf_tables\n');
    const tested = lock();
    await tested.lock.lock();
    assert.deepEqual(tested.loaded, [['overlay', 'nf_tables']]);
    assert.equal(value('kernel.modules_disabled'), '1');
    await tested.lock.lock();
    assert.equal(tested.loaded.length, 1, 'once');
  });

  it('are not loaded or locked without a list', async () => {
    await lock().lock.lock();
    assert.equal(value('kernel.modules_disabled'), '0');
    assert.match(lines[0] ?? '', /info: kernel modules can still be loaded/);
  });

  it('are locked even if one is missing', async () => {
    writeFileSync(join(proc, 'late.conf'), 'overlay\n');
    await lock('no overlay').lock.lock();
    assert.equal(value('kernel.modules_disabled'), '1');
    assert.match(lines[0] ?? '', /warn: .*no overlay/);
  });

  it('are skipped on a kernel without modules, and failures are logged', async () => {
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
