import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OciProcess } from '../request/oci-spec.js';
import { admitProcess } from '../create/admission.js';

const process: OciProcess = { user: { uid: 0, gid: 0 }, args: ['sh'], cwd: '/' };
const check = (more: Partial<OciProcess>) => () => admitProcess({ ...process, ...more }, { selinux: false });

test('PATH must not lead a program into a process’s /proc directory', () => {
  for (const [PATH, cwd] of [
    ['/proc/self', '/'],
    ['/bin:/proc/self/fd', '/'],
    ['proc/self', '/'],
    ['/bin:', '/'],
    ['../self/fd', '/proc/sys'],
  ] as const) {
    const run = check({ env: ['A=b', `PATH=${PATH}`], cwd });
    if (PATH === '/bin:') run();
    else assert.throws(run, { kind: 'refused', message: /env PATH/ }, PATH);
  }
  check({ args: ['/bin/sh'], env: ['PATH=/proc/self'] })();
});

test('an id that means "unchanged" is refused', () => {
  const none = 4_294_967_295;
  for (const user of [
    { uid: none, gid: 0 },
    { uid: 1, gid: none },
    { uid: 1, gid: 1, additionalGids: [5, none] },
  ])
    assert.throws(check({ user }), { kind: 'invalid', message: /is not a valid id/ });
});

test('unknown, repeated and inconsistent rlimits, and OOM scores out of range, are refused', () => {
  const limit = (type: string, soft: bigint, hard: bigint) => ({ type, soft, hard });
  check({
    rlimits: [
      limit('RLIMIT_NOFILE', 1n, 2n),
      limit('RLIMIT_NPROC', 18446744073709551615n, 18446744073709551615n),
    ],
  })();
  for (const rlimits of [
    [limit('NOFILE', 1n, 1n)],
    [limit('RLIMIT_CORE', 2n, 1n)],
    [limit('RLIMIT_CORE', 1n, 1n), limit('RLIMIT_CORE', 0n, 0n)],
  ])
    assert.throws(check({ rlimits }), { kind: 'invalid', message: /rlimit/ });
  for (const oomScoreAdj of [-1_001, 1_001, 0.5]) assert.throws(check({ oomScoreAdj }), { kind: 'invalid' });
  check({ oomScoreAdj: -998 })();
});
