import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { repository } from '../harness/repository.js';
import { shell } from './machine.js';
import type { RunningGuest } from './running-guest.js';

/**
 * Returns the rows of a table of docs/reference/hardening.md whose first cell has this form: the code spans of each
 * cell.
 */
function rows(first: RegExp): readonly (readonly [string, readonly string[]])[] {
  const page = readFileSync(join(repository, 'docs', 'reference', 'hardening.md'), 'utf8');
  const found = page.split('\n').flatMap((line) => {
    const texts = [...line.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
    const [name = '', ...others] = texts;
    return line.startsWith('| `') && first.test(name) ? [[name, others] as const] : [];
  });
  assert.notEqual(found.length, 0);
  return found;
}

/** Tests for a guest whose agent is PID 1 and listens. */
export function hardened(guest: RunningGuest): void {
  it('has the sysctls in the reference', async (context) => {
    const missing: string[] = [];
    for (const [name, values] of rows(/^(?:kernel|net|fs|vm|dev)\./)) {
      const file = `/proc/sys/${name.replaceAll('.', '/')}`;
      const found = await shell(guest.machine, `[ -e ${file} ] && cat ${file} || echo missing`);
      if (found.trim() === 'missing') missing.push(name);
      else assert.ok(values.includes(found.trim()), `${name}: ${found}`);
    }
    context.diagnostic(`not in this kernel: ${missing.join(' ') || 'none'}`);
    assert.ok(missing.length < 4, missing.join(' '));
  });

  it('has the mounts in the reference, with their options', async () => {
    const mounts = (await shell(guest.machine, 'cat /proc/1/mounts'))
      .split('\n')
      .map((line) => line.split(' '));
    for (const [target, options] of rows(/^\/(?:proc|dev\/|run|tmp|sys)/)) {
      const found = mounts.find(([, place]) => place === target)?.[3]?.split(',');
      // Debian's kernel for virtual machines has no configfs until a module needs it.
      if (target === '/sys/kernel/config' && found === undefined) continue;
      assert.ok(found !== undefined, target);
      for (const option of options.filter((one) => one.startsWith('no')))
        assert.ok(found.includes(option), `${target}: ${option} in ${found.join()}`);
    }
    assert.match(
      await shell(guest.machine, 'cp /usr/bin/busybox /run/x; /run/x true 2>&1 || echo refused'),
      /refused/,
    );
  });

  it('has lockdown by its kernel command line', async () => {
    assert.match(await shell(guest.machine, 'cat /sys/kernel/security/lockdown'), /\[integrity\]/);
  });
}

/** Tests for a guest with a sandbox. */
export function takesNoMoreModules(guest: RunningGuest): void {
  it('loads no more kernel modules, and has those for iptables rules and an overlay', async () => {
    assert.equal((await shell(guest.machine, 'cat /proc/sys/kernel/modules_disabled')).trim(), '1');
    const attempt = 'busybox modprobe nd_pmem 2>&1 || echo refused';
    assert.match(await shell(guest.machine, attempt), /refused/);
    const rules =
      '*nat\\n-A OUTPUT -p tcp -m multiport --dports 1,2 -m owner --uid-owner 7 -j REDIRECT --to-ports 9\\nCOMMIT\\n';
    await shell(
      guest.machine,
      `printf '${rules}' | /usr/sbin/iptables-restore && /usr/sbin/iptables -t nat -F`,
    );
    await shell(guest.machine, 'busybox grep overlay /proc/filesystems');
  });
}
