import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const isRoot = process.getuid?.() === 0 || process.env['CI'] === 'true';
const program = fileURLToPath(new URL('../harness/lost-peer.js', import.meta.url));

test('a peer that vanishes with bytes unacknowledged is given up after the limit, not after 15 minutes', {
  skip: isRoot ? false : 'needs root',
}, () => {
  const limitMs = 1_500;
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['--net', '--kill-child', process.execPath, program, String(limitMs)],
    { encoding: 'utf8', timeout: 60_000 },
  );
  assert.notEqual(stdout, '', stderr);
  const seen = JSON.parse(stdout) as { code: string; ms: number; other: string };
  assert.deepEqual([seen.code, seen.other], ['ETIMEDOUT', 'open']);
  assert.ok(seen.ms >= limitMs - 50, String(seen.ms));
});
