import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type AuditedCall, openAuditLog, type SignedHead, systemClock } from '@kata-agent/audit';
import { encodeBundle } from '@kata-agent/evidence';
import { claims, makeBundle, startEvents, values } from '@kata-agent/evidence/testing/soft-tpm';
import { agentLogSigner, parseCheckpoint } from '@kata-agent/tlog';
import { type Ended, runBinary } from '../testing/program.js';
import { report as command } from './report.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-agent-ctl-report-'));
after(() => rmSync(directory, { recursive: true }));
const at = (name: string): string => join(directory, name);
const example = fileURLToPath(new URL('../../../../examples/tenant.toml', import.meta.url));

function file(name: string, text: string): string {
  writeFileSync(at(name), text);
  return at(name);
}

interface Reported extends Ended {
  readonly page: string;
}

function report(...argv: readonly string[]): Reported {
  const out = at('report.html');
  rmSync(out, { force: true });
  const ended = runBinary(['report', ...argv, '--html', out]);
  assert.notEqual(ended.code, 1, ended.stderr);
  return { ...ended, page: readFileSync(out, 'utf8') };
}

/** The text of a page as a browser shows it, without its style sheet, one line an element. */
function textOf(page: string): string {
  const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', '#39': "'", amp: '&' };
  return page
    .replace(/<style>[^]*?<\/style>/, '')
    .replace(/<[^>]*>/g, '\n')
    .replace(/&(lt|gt|quot|#39|amp);/g, (_, name: string) => entities[name] ?? '')
    .replace(/\s*\n\s*/g, '\n');
}

/** The number of distinct tags: none comes from text. */
function tagsOf(page: string): readonly string[] {
  return [...new Set([...page.matchAll(/<\/?([a-zA-Z!][^\s>]*)/g)].map(([, name]) => name ?? ''))].sort();
}

const calls = (method: string, more: Partial<AuditedCall> = {}): AuditedCall => ({
  listener: 'host',
  peer: 'cid 2',
  method,
  payload: Buffer.from(method),
  ...more,
});
const allowed = (method: string) =>
  ({ outcome: 'allow', method, listener: 'host', reason: 'listed' }) as const;
const denied = (method: string, reason: string, rule?: string) =>
  ({
    outcome: 'deny',
    code: 'KA3101',
    method,
    listener: 'host',
    reason,
    ...(rule === undefined ? {} : { rule }),
  }) as const;

function digestOf(configuration: string): string {
  const { stdout } = runBinary(['config', 'check', configuration, '--format', 'json']);
  return (JSON.parse(stdout) as { digest: string }).digest;
}

/** Writes a log with a container, an exec, a denial and a gap, as an agent with the configuration does. */
async function writeLog(path: string, configuration: string): Promise<void> {
  let passed = 0;
  const clock = {
    ...systemClock,
    wall: () => Date.parse('2026-12-01T08:00:00Z') + passed,
    monotonic: () => BigInt(passed) * 1_000_000n,
  };
  const log = await openAuditLog({ file: path, maxSize: 1 << 20, keep: 2, bootId: 'boot-1', clock });
  await log.boot({ version: '1.2.3', digest: digestOf(configuration), heartbeatMs: 60_000 });
  const container = calls('CreateContainer', {
    subject: { containerId: 'web', argv0: 'nginx' },
    request: { image: 'registry.example/web:1', user: '0:0' },
    facts: { arguments: ['nginx', '-g', 'daemon off;'] },
  });
  log.outcome(await log.intent(container, allowed('CreateContainer')), container, {
    code: 'OK',
    durationUs: 5,
    image: { from: 'pulled', digest: 'sha256:abcd', signatures: ['key of the shop'] },
    secrets: { count: 2, names: ['kbs:///default/key/1'] },
  });
  passed = 400_000;
  const exec = calls('ExecProcess', { subject: { containerId: 'web', argv0: '/bin/date' } });
  log.outcome(await log.intent(exec, allowed('ExecProcess')), exec, { code: 'OK', durationUs: 5 });
  log.refuse(calls('CopyFile'), denied('CopyFile', 'the rule is false', 'copied-files'));
  await log.close();
}

test('a page about a configuration alone', () => {
  const { code, stdout, page } = report(example);
  assert.equal(code, 0);
  assert.match(stdout, /report\.html: written\n$/);
  const text = textOf(page);
  assert.match(text, /\n21 of 42 methods are served, 2 of them only under rules\.\n/);
  assert.match(
    text,
    /\nCreateContainer\n@pod\nserved\nin allowed_endpoints of listener "host" as @pod \(.*tenant\.toml:15\)\nrefused\n/,
  );
  assert.match(text, /\nSignalProcess\n@pod\nunder rules\n/);
  assert.match(text, /\ntenant-commands\nThe tenant's calls end and wait for the commands that it runs, not/);
  assert.match(text, /\nA guest had this configuration when it gave the evidence\.\nnot given\n/);
  assert.match(text, /\nThe audit log is complete and unchanged\.\nnot given\n/);
});

test('the page loads and runs nothing: its policy allows its style sheet alone, by its digest', () => {
  const { page } = report(example);
  const policy = /<meta http-equiv="Content-Security-Policy" content="([^"]*)">/.exec(page)?.[1] ?? '';
  const style = /<style>([^]*)<\/style>/.exec(page)?.[1] ?? '';
  const digest = createHash('sha256').update(style).digest('base64');
  assert.equal(
    policy,
    `default-src &#39;none&#39;; style-src &#39;sha256-${digest}&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;`,
  );
  assert.ok(page.indexOf('Content-Security-Policy') < page.indexOf('<style>'));
  assert.doesNotMatch(page, /<(?:script|link|img|iframe|object|embed|form|base)\b/i);
  assert.doesNotMatch(page, /\s(?:on[a-z]+|style|src|action|xlink:href)=/i);
  for (const [, target] of page.matchAll(/href="([^"]*)"/g)) assert.match(target ?? '', /^#[a-z]+$/);
  assert.doesNotMatch(style, /url\(|@import/);
});

test('headings are in order, and each header of a table has a scope', async () => {
  await writeLog(at('heading.log'), example);
  const { page } = report(example, at('heading.log'));
  const levels = [...page.matchAll(/<h(\d)/g)].map(([, level]) => Number(level));
  assert.equal(levels.filter((level) => level === 1).length, 1);
  for (const [index, level] of levels.entries())
    assert.ok(level <= (levels[index - 1] ?? 0) + 1, `heading ${index}`);
  assert.doesNotMatch(page, /<th(?! scope="(?:col|row|rowgroup)")[ >]/);
});

test('what a log says: calls, commands, images, denials, a gap and what covers it', async () => {
  const log = at('audit.log');
  await writeLog(log, example);
  const head = runBinary(['audit', 'head', log]).stdout.trim();
  const { code, page } = report(example, log, '--head', head);
  assert.equal(code, 0);
  const text = textOf(page);
  assert.match(text, /\n1 call was denied\.\n/);
  assert.match(
    text,
    /\n3 calls, of which 1 were denied and 0 failed otherwise, in 6 records from 2026-12-01 08:00:00.000 to/,
  );
  assert.match(text, /\nCopyFile\n1\nrule\ncopied-files\n: the rule is false\nKA3101\ncid 2\n/);
  assert.match(text, /\n\/bin\/date\narguments are recorded with \[audit\] facts only\nweb\n/);
  assert.match(
    text,
    /\nregistry\.example\/web:1\n\(as the host claims\)\nverified by the guest: sha256:abcd\nsigned: key of the shop\nnginx\n-g\ndaemon off;\n0:0\nkbs:\/\/\/default\/key\/1 and 1 more\nOK\n/,
  );
  assert.match(text, /\ngap\nno record for 400 s, and the agent says that it writes one each 60 s\n/);
  assert.match(text, /\ncheckpoint\nthe stored head\n/);
  assert.match(
    text,
    /\nThe log was not replaced as a whole, [^\n]*\nproved\nthe head that was stored elsewhere is record 6\n/,
  );
  assert.match(
    text,
    /\nThe audit log was written under this configuration\.\nnot proved\nthe boot record has its digest/,
  );
  assert.match(
    page,
    /<svg viewBox[^>]*role="img" aria-label="Calls, denials and events from 2026-12-01T08:00:00Z to/,
  );
});

test('a log that does not verify: the page says so first, and the exit code is that of audit verify', async () => {
  const log = at('changed.log');
  await writeLog(log, example);
  writeFileSync(log, readFileSync(log, 'utf8').replace('registry.example/web:1', 'registry.example/web:2'));
  const { code, stdout, page } = report(example, log);
  assert.equal(code, 4);
  assert.equal(code, runBinary(['audit', 'verify', log]).code);
  assert.match(
    stdout,
    /written, with failed verifications\nThe audit log .*changed\.log does not verify \(1 problem\)/,
  );
  const [first] = /<li class="[^]*?<\/li>/.exec(page) ?? [''];
  assert.match(first, /class="bad">The audit log .*changed\.log does not verify/);
  assert.match(
    textOf(page),
    /\nfailed\n1 problem, the first: .*changed\.log:2: record 2: changed: its hash does not match/,
  );
  const json = runBinary(['report', example, log, '--html', at('report.html'), '--format', 'json']);
  assert.equal(json.code, 4);
  const { ok, findings } = JSON.parse(json.stdout) as { ok: boolean; findings: { kind: string }[] };
  assert.equal(ok, false);
  assert.equal(findings[0]?.kind, 'bad');
});

test('what rotation has removed is said first, and no table says that there was none', async () => {
  const log = at('rotated.log');
  const audit = await openAuditLog({ file: log, maxSize: 4096, keep: 1, bootId: 'boot-1' });
  await audit.boot({ version: '1', digest: 'd' });
  for (let n = 0; n < 100; n += 1)
    audit.refuse(
      calls('CreateContainer', { subject: { containerId: `c${n}` } }),
      denied('CreateContainer', `no ${n}`),
    );
  for (let n = 0; n < 400; n += 1)
    audit.observe(calls('StatsContainer', { subject: { containerId: `s${n}` } }), allowed('StatsContainer'), {
      code: 'OK',
      durationUs: 1,
    });
  await audit.close();
  const text = textOf(report(example, log).page);
  assert.match(text, /Rotation has removed records 1 to \d+ and kept \d+ of them\./);
  assert.match(text, /No container was created in the records that are left\./);
  assert.doesNotMatch(text, /\n(No container was created|ExecProcess was not called)\.\n/);
  assert.match(text, /which rotation has removed\n[^]*CreateContainer\n\d+\n\d+\n/);
});

test('a log of another configuration fails', async () => {
  const log = at('other.log');
  await writeLog(log, file('other.toml', '[api]\nallowed_endpoints = []\n'));
  const { code, page } = report(example, log);
  assert.equal(code, 4);
  assert.match(
    textOf(page),
    /\nThe audit log was written under this configuration\.\nfailed\n1 of 1 starts had another one/,
  );
});

const logSigner = agentLogSigner(generateKeyPairSync('ed25519').privateKey);

/** Writes a log and a bundle that binds it, as a guest with the configuration makes them, and the values file that accepts it. */
async function writeEvidence(configuration: string): Promise<SignedHead> {
  rmSync(at('bound.log'), { force: true });
  const log = await openAuditLog({
    file: at('bound.log'),
    maxSize: 1 << 20,
    keep: 2,
    bootId: claims.bootId,
    signer: logSigner,
  });
  const digest = digestOf(configuration);
  await log.boot({ digest });
  log.refuse(calls('CopyFile'), denied('CopyFile', 'no'));
  const signed = await log.checkpoint();
  log.refuse(calls('ExecProcess'), denied('ExecProcess', 'no'));
  await log.close();
  const sha256 = createHash('sha256').update(readFileSync(configuration)).digest('hex');
  const { head } = parseCheckpoint(signed.checkpoint);
  const claimed = {
    logKey: logSigner.verifier.toString(),
    treeSize: head.size,
    rootHash: head.root,
    configDigest: digest,
    documents: [sha256],
  };
  const documents = [{ file: 'config.toml', source: '-c', sha256 }];
  const bundle = makeBundle({
    claims: claimed,
    events: startEvents(claimed),
    bundle: { checkpoint: signed.checkpoint, documents },
  });
  writeFileSync(at('bundle.json'), encodeBundle(bundle));
  const [tuple] = values.tpm;
  assert.ok(tuple !== undefined);
  const tpm = [{ ...tuple, registers: Object.fromEntries(tuple.registers) }];
  file('values.json', JSON.stringify({ v: 1, accept: ['tpm'], tpm }));
  return signed;
}

const withEvidence = (configuration: string, ...more: readonly string[]): Reported =>
  report(configuration, at('bound.log'), at('bundle.json'), '--reference', at('values.json'), ...more);

test('evidence proves the configuration, and binds the log up to its checkpoint', async () => {
  await writeEvidence(example);
  const { code, page } = withEvidence(example, '--nonce', claims.nonce);
  const text = textOf(page);
  assert.equal(code, 0, text);
  assert.match(text, /\nThe evidence .*bundle\.json is verified\.\n/);
  assert.match(
    text,
    /\nA guest had this configuration when it gave the evidence\.\nproved\nsha256:[0-9a-f]{64}\n/,
  );
  assert.match(text, /\nThe configuration was measured [^\n]*\nproved\n/);
  assert.match(text, /\nThe audit log was written under this configuration\.\nproved\n/);
  assert.match(text, /\nproved\na checkpoint covers the records to 2: bound by evidence\n/);
  assert.match(
    text,
    /\nThe log is complete at its end\.\nnot proved\nrecord 3 is covered by the hashes alone;/,
  );
  assert.match(text, /\nclaims\.nonce\nproved\n/);
  assert.match(text, /\nclaims\.channel\nnot given\n/);
  assert.match(textOf(withEvidence(example).page), /; without --nonce, the evidence can be old\n/);
});

test('evidence of another configuration, and a log that it does not bind, fail', async () => {
  await writeEvidence(example);
  const other = withEvidence(file('narrow.toml', '[api]\nallowed_endpoints = ["@pod"]\n'));
  assert.equal(other.code, 4);
  assert.match(
    textOf(other.page),
    /\nA guest had this configuration [^\n]*\nfailed\nthe guest runs with sha256:/,
  );
  assert.doesNotMatch(textOf(other.page), /bound by evidence/);
  const lines = readFileSync(at('bound.log'), 'utf8').split('\n');
  writeFileSync(at('bound.log'), `${lines[0] ?? ''}\n`);
  const truncated = withEvidence(example);
  assert.equal(truncated.code, 4);
  assert.match(textOf(truncated.page), /\nfailed\ncheckpoint of kata-agent\/[0-9a-f]{64}: truncated: /);
});

const hostile = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  'javascript:alert(1)',
  '</style><script>alert(2)</script>',
  '\u001b[31mred\u001b[0m\u009b31m',
  '\u202egpj.exe\u2066',
  '--><!-- ${html} &lt;b&gt;',
  'x'.repeat(5_000),
];

test('text of a hostile host is text: in ids, arguments, reasons, rules, peers, images and times', async () => {
  const log = at('hostile.log');
  const audit = await openAuditLog({ file: log, maxSize: 1 << 24, keep: 2, bootId: 'boot-1' });
  await audit.boot({ version: hostile[0], digest: hostile[1] });
  for (const text of hostile) {
    const named = {
      peer: text,
      claimedOperator: text,
      subject: { containerId: text, execId: text, argv0: text },
      request: { image: text, user: text, mounts: [] },
      facts: { command: text, arguments: [text, text] },
    };
    for (const method of ['CreateContainer', 'ExecProcess', text]) {
      const call = calls(method, named);
      audit.outcome(await audit.intent(call, allowed(method)), call, {
        code: text,
        message: text,
        durationUs: 1,
        clock: { before: text, after: `${text} later` },
        image: { from: 'pulled', digest: text, signatures: [text] },
        secrets: { count: 1, names: [text] },
      });
      audit.refuse(call, denied(method, text, text));
    }
  }
  await audit.close();
  const { code, page } = report(example, log);
  assert.equal(code, 4, 'the digest in its boot record is none');
  assert.deepEqual(
    tagsOf(page).filter((tag) => !/^(?:!DOCTYPE|[a-z]+[1-4]?)$/.test(tag)),
    [],
  );
  assert.deepEqual(
    tagsOf(page).filter((tag) => ['script', 'img', 'b'].includes(tag)),
    [],
  );
  // Each attribute is one that a template has, so no text has left its quotes.
  assert.doesNotMatch(page.replace(/="[^"]*"/g, ''), /<[^>]*(?:\son[a-z]+|alert|javascript)[^>]*>/i);
  assert.doesNotMatch(
    page,
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/,
  );
  const text = textOf(page);
  for (const one of hostile.slice(0, 5)) assert.ok(text.includes(one), one);
  assert.ok(text.includes('\\u{1b}[31mred'));
  assert.ok(text.includes('\\u{202e}gpj.exe\\u{2066}'));
  assert.ok(page.length < 600_000, String(page.length));
});

test('text of a configuration is text: comments, messages, expressions and names of files', () => {
  const name = '"><img src=x onerror=alert(1)>.toml';
  const configuration = file(
    name,
    `# <script>alert(1)</script>
[api]
allowed_endpoints = ["@pod"]
# "><img src=x onerror=alert(2)> \u202e
[[api.rule]]
name = "one"
endpoints = ["CreateContainer"]
message = "</p><script>alert(3)</script>"
expression = 'container.id != "</pre><script>alert(4)</script>\\u202e"'
`,
  );
  const { code, page } = report(configuration);
  assert.equal(code, 0);
  assert.doesNotMatch(page, /<(?:script|img)/);
  const text = textOf(page);
  for (const one of [
    '<script>alert(1)</script>',
    'onerror=alert(2)> \\u{202e}',
    '</p><script>alert(3)</script>',
    '</pre><script>alert(4)</script>',
  ])
    assert.ok(text.includes(one), one);
});

/** A log that no agent wrote, with right hashes. */
function forged(records: Iterable<object>): string {
  let prev = '0'.repeat(64);
  let sequence = 0;
  const lines: string[] = [];
  for (const record of records) {
    sequence += 1;
    const text = JSON.stringify({ sequence, prev, boot: 'b', ...record });
    const hash = createHash('sha256').update(`\0${text}`).digest('hex');
    lines.push(`${text.slice(0, -1)},"hash":"${hash}"}\n`);
    prev = hash;
  }
  return lines.join('');
}

test('a record can have any value in its members', () => {
  const odd: readonly unknown[] = [
    null,
    7,
    [],
    {},
    [[]],
    { image: {} },
    'text',
    { arguments: [null, {}, 1] },
  ];
  const records = odd.flatMap((value) => [
    {
      monotonic: value,
      wall: '\u009b31m',
      kind: 'boot',
      facts: { digest: value, version: value, heartbeatMs: value },
    },
    {
      monotonic: value,
      wall: '275760-09-13',
      kind: 'intent',
      listener: 'l',
      peer: 'p',
      method: 'CreateContainer',
      decision: { outcome: 'allow', reason: 'r' },
      claimedOperator: value,
      request: value,
      facts: value,
    },
    {
      monotonic: value,
      wall: '0000-01-01T00:00:00Z',
      kind: 'refusal',
      listener: 'l',
      peer: 'p',
      method: 'ExecProcess',
      decision: { outcome: 'deny', reason: 3, code: 4, rule: 5 },
      request: value,
      facts: value,
    },
    { monotonic: value, wall: '9999-12-31T23:59:59Z', kind: 'of-a-later-version', method: value },
  ]);
  const { page } = report(example, file('odd.log', forged(records)));
  assert.match(textOf(page), /\n16 calls, of which 8 were denied/);
});

test('100,000 records, each with names of its own, in 64 MiB: tables end, and say how to see the rest', () => {
  function* records(): Iterable<object> {
    yield { monotonic: 0, wall: '2026-12-01T08:00:00.000Z', kind: 'boot', facts: { heartbeatMs: 60_000 } };
    for (let n = 1; n < 100_000; n += 1)
      yield {
        monotonic: n * 1e9,
        wall: new Date(Date.UTC(2026, 11, 1, 8) + n * 1_000).toISOString(),
        kind: 'refusal',
        listener: 'host',
        peer: `cid ${n}`,
        method: `Method${n}`,
        decision: { outcome: 'deny', code: 'KA3001', rule: `rule-${n}`, reason: `reason ${n}` },
        digest: '00',
        subject: { containerId: `container-${n}` },
      };
  }
  const log = file('large.log', forged(records()));
  const bin = fileURLToPath(new URL('../../bin/kata-agent-ctl.mjs', import.meta.url));
  const argv = ['--max-old-space-size=64', bin, 'report', example, log, '--html', at('large.html')];
  const ended = spawnSync(process.execPath, argv, { encoding: 'utf8' });
  assert.equal(ended.status, 4, ended.stderr);
  const page = readFileSync(at('large.html'), 'utf8');
  assert.ok(page.length < 400_000, String(page.length));
  const text = textOf(page);
  assert.match(text, /\n99999 calls were denied\.\n/);
  assert.match(
    text,
    /\n99799 more records are not shown here, [^\n]*\nkata-agent-ctl audit show .*large\.log --denied\n/,
  );
});

test('the examples of the help run as printed', async () => {
  await writeEvidence(example);
  const examples = fileURLToPath(new URL('../../../../examples', import.meta.url));
  symlinkSync(examples, at('examples'));
  copyFileSync(example, at('config.toml'));
  copyFileSync(at('bound.log'), at('audit.log'));
  const entry = fileURLToPath(new URL('../../bin/kata-agent-ctl.mjs', import.meta.url));
  for (const { line } of command.examples) {
    rmSync(at('report.html'), { force: true });
    const ended = spawnSync(process.execPath, [entry, ...line.split(' ').slice(1)], {
      cwd: directory,
      encoding: 'utf8',
    });
    assert.equal(ended.status, 0, ended.stdout + ended.stderr);
    assert.match(readFileSync(at('report.html'), 'utf8'), /^<!DOCTYPE html>/);
  }
});

test('wrong use, and what cannot be read', () => {
  assert.equal(runBinary(['report', example]).code, 2);
  assert.equal(
    runBinary(['report', example, '--html', at('a.html'), '--reference', at('values.json')]).code,
    2,
  );
  assert.equal(
    runBinary(['report', example, '--html', at('a.html'), '--head', `1:${'0'.repeat(64)}`]).code,
    2,
  );
  assert.equal(runBinary(['report', at('none.toml'), '--html', at('a.html')]).code, 3);
  assert.equal(runBinary(['report', example, '--html', at('no/such/directory.html')]).code, 3);
  assert.equal(runBinary(['report', example, file('empty.log', ''), '--html', at('a.html')]).code, 4);
  const wrong = runBinary(['report', file('wrong.toml', '[api]\nnope = 1\n'), '--html', at('a.html')]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /wrong\.toml cannot be loaded: 1 error/);
});
