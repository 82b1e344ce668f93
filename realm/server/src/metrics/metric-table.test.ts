import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { metricTable } from './metric-table.js';
import { createMetrics } from './metrics.js';

test('docs/realm.md has the table of metrics, and they are what is exported', async (t) => {
  const page = readFileSync(new URL('../../../../docs/realm.md', import.meta.url), 'utf8');
  const rows = Object.entries(metricTable).map(([name, { type, labels, help }]) => {
    const quoted = labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${quoted} | ${help} |`;
  });
  const written = page.split('\n').filter((line) => line.startsWith('| `kata_realm_'));
  assert.deepEqual(written, rows);
  const metrics = await createMetrics();
  t.after(() => metrics.close());
  const exported = (await metrics.text()).matchAll(/^# TYPE (\S+) (\S+)$/gm);
  assert.deepEqual(
    Array.from(exported, ([, name, type]) => `${name} ${type}`),
    Object.entries(metricTable).map(([name, { type }]) => `${name} ${type}`),
  );
});

test('a total that is counted elsewhere raises its counter', async (t) => {
  const metrics = await createMetrics();
  t.after(() => metrics.close());
  for (const total of [5, 5, 12])
    metrics.raise('kata_realm_relayed_bytes_total', total, { direction: 'to_guest' });
  assert.match(await metrics.text(), /^kata_realm_relayed_bytes_total\{direction="to_guest"\} 12$/m);
});
