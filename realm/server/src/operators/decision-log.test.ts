import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openAuditLog, verify } from '@kata-agent/audit';
import { DecisionLog } from './decision-log.js';

test('decisions are records of an audit log that verifies, and floods of equal ones are counted', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-realm-decisions-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'audit.log');
  const audit = await openAuditLog({ file, maxSize: 1 << 20, keep: 1, bootId: 'b' });
  await audit.boot({});
  const decisions = new DecisionLog(audit);
  const end = await decisions.connection('guests', 'guest 1', 'accepted as "web"');
  end();
  end();
  const revoked = await decisions.act('operators', 'guest 1', 'RevokePeer', 'an operator revokes', {
    request: { revoked: 'cn:eve' },
  });
  revoked('FAILED', 'no');
  decisions.note('signals', 'pid 1', '(reload)', 'ok', 'OK');
  const guest = { id: 'a'.repeat(64), name: 'web' };
  for (let n = 0; n < 100; n += 1) {
    decisions.record({ operator: 'cn:alice', verb: 'list', guest, allowed: true, reason: 'list' });
    decisions.record({
      operator: 'cn:alice',
      verb: 'connect',
      guest,
      method: 'ExecProcess',
      allowed: false,
      reason: 'not in methods',
    });
    decisions.refuse('guests', '192.0.2.1', 'KA3301', 'the request is not HTTP: HPE_INVALID_METHOD');
  }
  const impostor = { operator: `cn:alice guest web ${guest.id}`, verb: 'list', allowed: false } as const;
  decisions.record({ ...impostor, reason: 'there is no guest' });
  await audit.close();
  assert.ok((await verify(file)).ok);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const kinds = records.map(({ kind, method = '' }) => `${String(kind)} ${String(method)}`.trim());
  assert.deepEqual(kinds.slice(0, 5), [
    'boot',
    'intent (connection)',
    'outcome (connection)',
    'intent RevokePeer',
    'outcome RevokePeer',
  ]);
  assert.equal(kinds.length, 13, kinds.join());
  // An operator of this name is not alice.
  const peers = records.map(({ peer }) => String(peer));
  assert.ok(peers.includes(`cn:alice\\20guest\\20web\\20${guest.id}`), peers.join('\n'));
  const denial = records.find(({ kind, method }) => kind === 'refusal' && method === 'ExecProcess');
  assert.match(JSON.stringify(denial), /"cn:alice guest web a{64}".*"KA3303"/);
  assert.equal(records.filter(({ kind, count }) => kind === 'fold' && count === 99).length, 3);
});
