import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRecord } from '@kata-agent/audit';
import { temporaryDirectory, WrittenLog } from '../fake-agent.test.fixture.js';
import { SentFile, type SentLine } from './forwarded-logs.js';
import { otlpCommon, otlpRecord } from './otlp.js';
import { recordFields, severityOf } from './record-fields.js';
import { parseSink } from './sink-address.js';
import { syslogMessage } from './syslog.js';

const identity = { agent: 'node-1', origin: 'a1'.repeat(16) };

function lineOf(record: object): SentLine {
  const text = JSON.stringify(record).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return { line: Buffer.from(text), record: record as SentLine['record'] };
}

const refusal = {
  sequence: 7,
  wall: '2026-11-27T10:00:00.125Z',
  boot: 'b',
  kind: 'refusal',
  listener: 'host',
  peer: 'cid 2',
  method: 'ExecProcess',
  decision: { outcome: 'deny', code: 'KA2001', rule: 'exec', reason: 'he said "no" [\\o/]\n\u2028ü\ud800' },
  subject: { containerId: 'c1', argv0: 'sh' },
  hash: 'ff'.repeat(32),
};

test('a message of RFC 5424 has its length before it, escaped parameters, and the line', () => {
  const { line, record } = lineOf(refusal);
  const bytes = syslogMessage({ line, record }, identity);
  const text = bytes.toString();
  const [, length = '', message = ''] = /^(\d+) (.*)$/s.exec(text) ?? [];
  assert.equal(Number(length), Buffer.byteLength(message));
  // Facility 13, severity 4.
  assert.ok(
    message.startsWith('<108>1 2026-11-27T10:00:00.125Z node-1 kata-agent - refusal [kataAudit@32473 '),
  );
  assert.ok(message.endsWith(`] ${line.toString()}`));
  for (const parameter of [
    `origin="${identity.origin}"`,
    'sequence="7"',
    'peer="cid 2"',
    'method="ExecProcess"',
    'decision="deny"',
    'outcome="failure"',
    'reason="he said \\"no\\" [\\\\o/\\]\\\\u000a\\\\u2028ü\ufffd"',
    'container="c1"',
  ])
    assert.ok(message.includes(` ${parameter}`), `${parameter}\n${message}`);
  // A guest can write any text: no header is broken by it.
  const odd = syslogMessage(lineOf({ ...refusal, wall: 'now', kind: 'x y\n' }), {
    ...identity,
    agent: 'a b\n',
  });
  assert.match(odd.toString(), /^\d+ <108>1 - a\?b\? kata-agent - x\?y\? \[/);
});

test('a member that is neither a text nor a number, as a kind of a later version can have, has no field', () => {
  const none = { toString: 1, valueOf: 1 };
  const later = lineOf({
    ...refusal,
    kind: 'x',
    boot: none,
    method: none,
    decision: { rule: none },
    count: [1],
  });
  assert.doesNotMatch(
    syslogMessage(later, identity).toString().split(later.line.toString())[0] ?? '',
    /rule|count|boot=|method/,
  );
  const { attributes } = otlpRecord(later, identity, otlpCommon('node-1', '0'), 1_000);
  assert.ok(Object.values(attributes).every((value) => typeof value !== 'object'));
});

test('a log record of OpenTelemetry has the line as body, and only attributes that have a value', () => {
  const sent = lineOf(refusal);
  const { body, attributes, severityNumber, hrTime, eventName } = otlpRecord(
    sent,
    identity,
    otlpCommon('node-1', '0'),
    1_000,
  );
  assert.equal(body, sent.line.toString());
  assert.deepEqual(
    [severityNumber, hrTime, eventName],
    [13, [1_795_773_600, 125_000_000], 'kata.audit.refusal'],
  );
  assert.equal(attributes['log.record.uid'], refusal.hash);
  assert.equal(attributes['kata.audit.origin'], identity.origin);
  assert.equal(attributes['kata.audit.sequence'], 7);
  assert.ok(!Object.values(attributes).includes(undefined));
  assert.ok(!('rpc.response.status_code' in attributes));
});

test('severities follow what happened', () => {
  const of = (change: object): number =>
    severityOf(lineOf({ ...refusal, decision: undefined, ...change }).record).syslog;
  assert.equal(of({ kind: 'lost' }), 3);
  assert.equal(of({ decision: refusal.decision }), 4);
  assert.equal(of({ kind: 'boot' }), 5);
  assert.equal(of({ kind: 'outcome', result: { code: 'NOT_FOUND' } }), 5);
  assert.equal(of({ kind: 'outcome', result: { code: 'OK' } }), 6);
  assert.equal(of({ kind: 'heartbeat' }), 7);
});

test('docs/collecting.md has the table of fields', () => {
  const page = readFileSync(new URL('../../../../../docs/collecting.md', import.meta.url), 'utf8');
  const code = (text: string): string => `\`${text}\``;
  const rows = recordFields.map(({ member, otel, otelPlace = '', syslog, syslogPlace = '', ecs, ocsf }) =>
    [
      member,
      otel === undefined ? otelPlace : code(otel),
      syslog === undefined ? syslogPlace : code(syslog),
      ecs,
      ocsf,
    ].join(' | '),
  );
  const [, table = ''] = page.split(/^\| member \|.*\n\|[- |]+\n/m);
  const written = table.split('\n\n')[0]?.split('\n') ?? [];
  assert.deepEqual(
    written,
    rows.map((row) => `| ${row} |`),
  );
});

test('the last lines that were sent are kept, and a torn one is left out', async (t) => {
  const log = await WrittenLog.start(t);
  await log.add(30);
  const { lines } = log;
  await log.close();
  const path = join(temporaryDirectory(t), 'x.sent');
  const keep = { lines: 5, bytes: 1 << 20 };
  const file = await SentFile.open(path, keep);
  assert.deepEqual([file.first, file.lines], [undefined, []]);
  await file.append(lines.slice(0, 3), 1);
  await file.append(lines.slice(3, 20), 4);
  await file.close();
  const again = await SentFile.open(path, keep);
  assert.equal(again.first, 1);
  assert.deepEqual(again.lines.map(String), lines.slice(15, 20).map(String));
  await again.close();
  appendFileSync(path, '{"sequence":21,');
  const torn = await SentFile.open(path, keep);
  assert.deepEqual(torn.lines.map(String), lines.slice(15, 20).map(String));
  await torn.append(lines.slice(20, 21), 21);
  await torn.close();
  const after = await SentFile.open(path, keep);
  assert.deepEqual(after.lines.map(String), lines.slice(16, 21).map(String));
  assert.ok(after.lines.every((line) => readRecord(line).ok));
  truncateSync(path, 3);
  assert.equal((await SentFile.open(path, keep)).first, undefined);
  writeFileSync(path, 'something else\n');
  await assert.rejects(SentFile.open(path, keep), /is not a position of a collector/);
});

test('a file of sent lines does not grow without end', async (t) => {
  const log = await WrittenLog.start(t);
  await log.add(20);
  const { lines } = log;
  await log.close();
  const path = join(temporaryDirectory(t), 'x.sent');
  const file = await SentFile.open(path, { lines: 2, bytes: 1 << 20 });
  for (let round = 0; round < 200; round += 1) await file.append(lines, 1);
  await file.close();
  assert.ok(readFileSync(path).length < 1 << 20);
  assert.equal(file.lines.length, 2);
});

test('receivers are parsed, and wrong ones refused', () => {
  assert.deepEqual(parseSink('/var/lib/x'), { kind: 'directory', path: '/var/lib/x' });
  assert.deepEqual(parseSink('otlp+https://otel.example'), {
    kind: 'otlp',
    url: 'https://otel.example:4318/v1/logs',
    isTls: true,
  });
  assert.deepEqual(parseSink('otlp+https://[2001:db8::1]:443/otlp/v1/logs'), {
    kind: 'otlp',
    url: 'https://[2001:db8::1]:443/otlp/v1/logs',
    isTls: true,
  });
  assert.deepEqual(parseSink('syslog+tls://siem.example'), {
    kind: 'syslog',
    host: 'siem.example',
    port: 6514,
  });
  assert.deepEqual(parseSink('jetstream+tls://a.example,b.example:4223/audit'), {
    kind: 'jetstream',
    stream: 'audit',
    tls: true,
    servers: [
      { host: 'a.example', port: 4222 },
      { host: 'b.example', port: 4223 },
    ],
  });
  for (const [text, why] of [
    ['', /it is empty/],
    ['otlp+http://otel.example', /not a loopback address/],
    ['syslog://siem.example', /unknown scheme/],
    ['otlp+https://a:b', /is not HOST:PORT/],
    ['syslog+tls://siem.example:0', /is not HOST:PORT/],
    ['syslog+tls://siem.example:70000', /is not HOST:PORT/],
    ['jetstream+nats://nats.example', /not a loopback address/],
    ['jetstream+tls://nats.example/a.b', /not the name of a stream/],
    ['otlp+https://otel.example/v1/logs?x=1', /is not a path/],
  ] as const)
    assert.throws(() => parseSink(text), why, text);
});
