import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type AuditedCall,
  type AuditLog,
  type AuditRecord,
  openAuditLog,
  systemClock,
} from '@kata-agent/audit';
import { runProgram } from '@kata-agent/cli';
import { fakeIo } from '@kata-agent/cli/testing/fake-io';
import { runBinary } from '../../testing/program.js';
import { program } from '../../program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
const file = join(directory, 'audit.log');
const copy = join(directory, 'copy.log');

const callOf = (method: string, containerId: string): AuditedCall => ({
  listener: 'server_addr',
  peer: 'uid 0',
  method,
  payload: Buffer.from(method),
  subject: { containerId },
});
const decision = (outcome: 'allow' | 'deny', method: string) => ({
  ...(outcome === 'allow' ? { outcome } : { outcome, code: 'KA3001' as const }),
  method,
  listener: 'server_addr',
  reason: outcome === 'allow' ? 'in allowed_endpoints' : 'not in allowed_endpoints (c.toml:3)',
});

async function openLog(path: string): Promise<AuditLog> {
  return await openAuditLog({ file: path, maxSize: 1 << 20, keep: 2, bootId: 'boot-1' });
}

before(async () => {
  const log = await openLog(file);
  await log.boot({ version: '1' });
  const start = callOf('StartContainer', 'web');
  const intent = await log.intent(start, decision('allow', 'StartContainer'));
  log.outcome(intent, start, { code: 'OK', durationUs: 100 });
  log.observe(callOf('StatsContainer', 'web'), decision('allow', 'StatsContainer'), {
    code: 'OK',
    durationUs: 5,
  });
  log.refuse(callOf('ExecProcess', 'db'), decision('deny', 'ExecProcess'));
  await log.close();
});
after(() => rmSync(directory, { recursive: true }));

/** Returns the records that `audit show` prints with these options. */
function shown(...options: string[]): AuditRecord[] {
  const { code, stdout, stderr } = runBinary(['audit', 'show', file, '--format', 'json', ...options]);
  assert.equal(code, 0, stderr);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditRecord);
}

test('audit verify accepts the output of audit head', () => {
  const head = runBinary(['audit', 'head', file]);
  assert.equal(head.code, 0);
  assert.match(head.stdout, /^5:[0-9a-f]{64}\n$/);
  const verified = runBinary(['audit', 'verify', file, '--head', head.stdout]);
  assert.equal(verified.code, 0, verified.stdout);
  assert.match(verified.stdout, /^ok: 5 records, 1 to 5, in 1 segment\n/);
  assert.doesNotMatch(verified.stdout, /without --head/);
  const json = JSON.parse(runBinary(['audit', 'head', file, '--format', 'json']).stdout) as object;
  assert.deepEqual(Object.keys(json), ['sequence', 'hash']);
});

test('audit verify detects a changed byte, a removed line, swapped lines and a truncated log, each with 4', () => {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const head = runBinary(['audit', 'head', file]).stdout.trim();
  const [one = '', two = '', three = '', ...rest] = lines;
  for (const [what, changed] of [
    ['a byte', [one, two.replace('StartContainer', 'StartContainex'), three, ...rest]],
    ['a removed line', [one, three, ...rest]],
    ['swapped lines', [one, three, two, ...rest]],
    ['a truncated log', lines.slice(0, -1)],
  ] as const) {
    writeFileSync(copy, `${changed.join('\n')}\n`);
    const { code, stdout } = runBinary(['audit', 'verify', copy, '--head', head]);
    assert.equal(code, 4, what);
    assert.match(stdout, /^not ok: /, what);
  }
  writeFileSync(copy, `${lines.slice(0, -1).join('\n')}\n`);
  const unanchored = runBinary(['audit', 'verify', copy]);
  assert.equal(unanchored.code, 0);
  assert.match(unanchored.stdout, /without --head/);
});

test('audit show limits the reports of lines that are not records', () => {
  const none = join(directory, 'none-at-all.log');
  writeFileSync(none, 'no record\n'.repeat(100));
  const { code, stderr } = runBinary(['audit', 'show', none]);
  assert.equal(code, 4);
  const lines = stderr.trimEnd().split('\n');
  assert.equal(lines.length, 6, stderr);
  assert.ok(
    lines
      .at(-1)
      ?.includes(`95 more lines are not records; list all of them: kata-agent-ctl audit verify ${none}`),
    stderr,
  );
});

test('missing logs, files that are not logs, and invalid heads are rejected', () => {
  writeFileSync(copy, 'this is not a record\n');
  for (const [command, gone, none] of [
    ['head', 3, 3],
    ['verify', 4, 4],
    ['show', 3, 4],
  ] as const) {
    assert.equal(runBinary(['audit', command, join(directory, 'none.log')]).code, gone, command);
    const { code, stderr, stdout } = runBinary(['audit', command, copy]);
    assert.equal(code, none, command);
    assert.match(stdout + stderr, /record/, command);
  }
  assert.equal(runBinary(['audit', 'verify', file, '--head', '5:xyz']).code, 2);
});

test('audit show prints a table', () => {
  const { code, stdout } = runBinary(['audit', 'show', file]);
  assert.equal(code, 0);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, 6);
  assert.match(lines[5] ?? '', /refusal .*ExecProcess .*not in allowed_endpoints \(c\.toml:3\)/);
});

test('audit show --format json prints the lines as they were written: a copy of them can be verified', async () => {
  const other = join(directory, 'texts.log');
  // JSON has no number for the second of these: a system that is up for 105 days.
  for (const [monotonic, id] of [
    [1n, 'r\u00fcbe \u009b31m\u007f\u202e'] as const,
    [2n ** 53n + 1n, 'web'] as const,
  ]) {
    rmSync(other, { force: true });
    const clock = { ...systemClock, monotonic: () => monotonic };
    const log = await openAuditLog({ file: other, maxSize: 1 << 20, keep: 2, bootId: 'boot-1', clock });
    await log.boot({});
    await log.intent(callOf('StartContainer', id), decision('allow', 'StartContainer'));
    await log.close();
    const { stdout } = runBinary(['audit', 'show', other, '--format', 'json']);
    assert.equal(stdout, readFileSync(other, 'latin1'));
  }
});

test('a line that no agent has written cannot affect the terminal with --format json either', () => {
  const other = join(directory, 'forged.log');
  const record = `{"sequence":1,"prev":"${'0'.repeat(64)}","boot":"b","wall":"\u009b31m","kind":"boot","facts":{}}`;
  const hash = createHash('sha256').update(`\0${record}`).digest('hex');
  writeFileSync(other, `${record.slice(0, -1)},"hash":"${hash}"}\n`);
  const { code, stdout } = runBinary(['audit', 'show', other, '--format', 'json']);
  assert.equal(code, 0);
  assert.match(stdout, /^[ -~]+\n$/);
  assert.equal((JSON.parse(stdout) as AuditRecord).wall, '\u009b31m');
});

test('filters by method, denial and container are combined with AND', () => {
  const kinds = (...options: string[]) => shown(...options).map((record) => record.kind);
  assert.deepEqual(kinds(), ['boot', 'intent', 'outcome', 'call', 'refusal']);
  assert.deepEqual(kinds('--method', 'StartContainer'), ['intent', 'outcome']);
  assert.deepEqual(kinds('--method', 'StatsContainer', '--method', 'ExecProcess'), ['call', 'refusal']);
  assert.deepEqual(kinds('--denied'), ['refusal']);
  assert.deepEqual(kinds('--container', 'web'), ['intent', 'outcome', 'call']);
  assert.deepEqual(kinds('--container', 'web', '--denied'), []);
});

test('--follow prints new records until interrupted', async () => {
  const followed = join(directory, 'followed.log');
  const log = await openLog(followed);
  await log.boot({});
  const io = fakeIo();
  const running = runProgram(program, ['audit', 'show', '-f', followed, '--format', 'json'], io);
  const lines = (): number => io.stdout.text.split('\n').length - 1;
  while (lines() < 1) await delay(5);
  log.refuse(callOf('ExecProcess', 'db'), decision('deny', 'ExecProcess'));
  await log.flush();
  while (lines() < 2) await delay(5);
  io.signals.emit('SIGINT');
  assert.equal(await running, 0);
  assert.equal(io.signals.listenerCount('SIGINT'), 0);
  await log.close();
});

test('records are chosen by peer, by time and as the last ones', () => {
  assert.deepEqual(
    shown('--tail', '2').map(({ kind }) => kind),
    ['call', 'refusal'],
  );
  assert.deepEqual(
    shown('--tail', '1', '--method', 'StartContainer').map(({ kind }) => kind),
    ['outcome'],
  );
  assert.equal(shown('--tail', '99').length, shown().length);
  assert.equal(shown('--peer', 'uid 0').length, 4);
  assert.equal(shown('--peer', 'cid').length, 0);
  assert.equal(shown('--since', '1h').length, shown().length);
  assert.equal(shown('--since', '2020-01-01').length, shown().length);
  assert.equal(shown('--since', '2999-01-01T00:00:00Z').length, 0);
  for (const [option, value] of [
    ['--since', 'yesterday'],
    ['--since', '2026-13-01'],
    ['--tail', '0'],
  ] as const) {
    const { code, stderr } = runBinary(['audit', 'show', file, option, value]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, new RegExp(`${option} '${value}'`));
  }
});

test('on a terminal of 80 columns no line is longer, but with --wide', async () => {
  for (const [options, narrow] of [
    [[], true],
    [['--wide'], false],
  ] as const) {
    const io = fakeIo();
    io.stdout.isTTY = true;
    io.stdout.columns = 80;
    assert.equal(await runProgram(program, ['audit', 'show', file, ...options], io), 0);
    const lines = io.stdout.text.replaceAll(/\u001b\[[0-9]*m/g, '').split('\n');
    assert.equal(
      lines.every((line) => line.length <= 80),
      narrow,
    );
    assert.ok(lines.length > 5);
  }
});
