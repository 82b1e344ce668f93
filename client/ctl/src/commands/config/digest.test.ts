import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { parseInitdata, unpackInitdataImage } from '@kata-agent/config';
import { runBinary } from '../../testing/program.js';
import type { ReadyLines, ReferenceValues } from './digests.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-digest-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const text = '[api]\nallowed_endpoints = ["@pod"]\n';
const sha256 = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

function digest(args: readonly string[]): ReferenceValues & { readonly lines: ReadyLines } {
  const { code, stdout, stderr } = runBinary(['config', 'digest', ...args, '--format', 'json']);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as ReferenceValues & { readonly lines: ReadyLines };
}

test('every delivery line has the whole document, and its digest matches', () => {
  const { document, lines } = digest([file('c.toml', text)]);
  assert.equal(document.sha256, sha256(text));
  assert.equal(lines.pin, `bind = "sha256:${sha256(text)}"`);
  const [, base64 = '', pin] =
    /^agent\.config_b64=(\S+) agent\.config_digest=(\S+)$/.exec(lines.kernelCommandLine) ?? [];
  assert.equal(pin, `sha256:${sha256(text)}`);
  const bytes = Buffer.from(base64, 'base64');
  assert.equal((bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString(), text);
  assert.match(lines.fwCfg, /^-fw_cfg name=opt\/io\.katacontainers\/kata-agent\.toml,file=.*c\.toml$/);
});

test('image, annotation, HOSTDATA and MRCONFIGID use the same envelope', () => {
  const out = join(directory, 'initdata.img');
  for (const algorithm of ['sha-256', 'sha-384', 'sha-512']) {
    const { initdata, lines } = digest([file('c.toml', text), '--out', out, '--algorithm', algorithm]);
    const unpacked = unpackInitdataImage(readFileSync(out));
    assert.ok(unpacked?.ok);
    const parsed = parseInitdata(unpacked.bytes, 'image');
    assert.ok(parsed.ok);
    assert.equal(parsed.algorithm, algorithm);
    assert.equal(Buffer.from(parsed.files.get('kata-agent.toml') ?? '').toString(), text);
    assert.equal(initdata.sha256, sha256(unpacked.bytes));
    const whole = createHash(algorithm.replace('-', '')).update(unpacked.bytes).digest('hex');
    assert.equal(initdata.hostdata, whole.slice(0, 64));
    assert.equal(initdata.mrconfigid, whole.padEnd(96, '0').slice(0, 96));
    const hex = (option: string): string =>
      Buffer.from(option.split('=').slice(2).join('='), 'base64').toString('hex');
    assert.equal(hex(lines.snp), initdata.hostdata);
    assert.equal(hex(lines.tdx), initdata.mrconfigid);
    const annotation = lines.annotation.replace('io.katacontainers.config.hypervisor.cc_init_data: ', '');
    assert.deepEqual(gunzipSync(Buffer.from(annotation, 'base64')), Buffer.from(unpacked.bytes));
  }
});

test('initdata of the user is used unchanged if it has the document', () => {
  const document = file('c.toml', text);
  const envelope = `algorithm = "sha384"\nversion = "0.1.0"\n[data]\n"aa.toml" = ""\n"kata-agent.toml" = '''\n${text}'''\n`;
  const { initdata } = digest([document, '--initdata', file('own.toml', envelope)]);
  assert.equal(initdata.sha256, sha256(envelope));
  assert.equal(initdata.algorithm, 'sha-384');
  const other = runBinary([
    'config',
    'digest',
    document,
    '--initdata',
    file('own.toml', envelope.replace('@pod', '*')),
  ]);
  assert.equal(other.code, 4);
  assert.match(other.stderr, /has a different document under "kata-agent\.toml"/);
  const wrong = runBinary(['config', 'digest', document, '--initdata', file('own.toml', 'version = "9"\n')]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /own\.toml:1:11: .*version = "0\.1\.0"/);
});

test('with --base the configuration digest covers both documents in order, with initdata by its envelope', () => {
  const base = '[api]\nallowed_endpoints = ["*"]\n';
  const { configuration, initdata } = digest([file('c.toml', text), '--base', file('base.toml', base)]);
  assert.deepEqual(configuration.asIs.documents, [sha256(base), sha256(text)]);
  assert.deepEqual(configuration.asInitdata.documents, [sha256(base), initdata.sha256]);
  assert.equal(configuration.asIs.digest, sha256(`${sha256(base)}\n${sha256(text)}\n`));
  assert.notEqual(configuration.asIs.pcr.sha256, configuration.asInitdata.pcr.sha256);
  assert.equal(configuration.asIs.pcr.index, 13);
  assert.equal(configuration.asIs.rtmr3.sha384, configuration.asIs.pcr.sha384);
});

test('a document too long for the kernel command line or fw_cfg prints the reason instead (R17)', () => {
  const noise = createHash('shake256', { outputLength: 40_000 }).update('x').digest('hex');
  const { code, stdout } = runBinary(['config', 'digest', file('long.toml', `${text}# ${noise}\n`)]);
  assert.equal(code, 0);
  assert.match(
    stdout,
    /kernel command line, measured\n {2}it has \d+ bytes; the kernel command line is limited to 2047/,
  );
  assert.match(stdout, /fw_cfg cannot be used: the document has 80\d{3} bytes, the maximum is 65536/);
});

test('the text ends with the reference values as JSON', () => {
  const { stdout } = runBinary(['config', 'digest', file('c.toml', text)]);
  const last = stdout.trimEnd().split('\n').at(-1) ?? '';
  const { lines: _, ...values } = digest([file('c.toml', text)]);
  assert.deepEqual(JSON.parse(last), values);
});

test('registers of the dynamic root of trust are rejected: an agent cannot extend them', () => {
  const { code, stderr } = runBinary(['config', 'digest', file('c.toml', text), '--pcr', '18']);
  assert.equal(code, 2);
  assert.match(stderr, /PCR 18 .*dynamic root of trust/);
});

test('unreadable and unwritable files exit with 3, files that are not UTF-8 with 1', () => {
  assert.equal(runBinary(['config', 'digest', join(directory, 'none.toml')]).code, 3);
  assert.equal(
    runBinary(['config', 'digest', file('c.toml', text), '--out', join(directory, 'none', 'x')]).code,
    3,
  );
  const { code, stderr } = runBinary(['config', 'digest', file('c.toml', Buffer.from([0xff]))]);
  assert.equal(code, 1);
  assert.match(stderr, /is not UTF-8/);
});

test('with [evidence] the text says that keys follow in the registers', () => {
  const evidence = '[measurement]\ntpm = "require"\n[evidence]\nsources = ["tpm"]\n';
  const note = /the registers have these values before the keys of each start follow/;
  assert.match(runBinary(['config', 'digest', file('e.toml', text + evidence)]).stdout, note);
  assert.doesNotMatch(runBinary(['config', 'digest', file('c.toml', text)]).stdout, note);
});

/** An entry of several documents. */
interface Entry extends ReferenceValues {
  readonly kind?: string;
  readonly title: string;
  readonly error?: { readonly message: string };
}

const envelopeText = `algorithm = "sha256"\nversion = "0.1.0"\n[data]\n"kata-agent.toml" = '''\n${text}'''\n`;
const podText = (name: string, annotation: string): string =>
  `kind: Pod\nmetadata: {name: ${name}, annotations: {io.katacontainers.config.hypervisor.cc_init_data: "${annotation}"}}\nspec: {containers: [{name: a, image: a}]}\n`;

test('of a directory each document has an entry: files, initdata and annotated pods, after the base document', () => {
  const manifests = join(directory, 'manifests');
  mkdirSync(join(manifests, 'below'), { recursive: true });
  const base = file('manifests/base.toml', '[api]\nallowed_endpoints = ["*"]\n');
  const annotation = gzipSync(envelopeText).toString('base64');
  file('manifests/a.toml', text);
  file('manifests/below/initdata.toml', envelopeText);
  file(
    'manifests/pods.yaml',
    `${podText('one', annotation)}---\nkind: Service\n---\n${podText('two', annotation)}`,
  );
  file('manifests/index.json', '{"version": 1}');
  file('manifests/readme.md', 'none');
  const args = ['config', 'digest', manifests, '--base', base];
  const { code, stdout, stderr } = runBinary([...args, '--format', 'json']);
  assert.equal(code, 0, stderr);
  const entries = JSON.parse(stdout) as readonly Entry[];
  const pods = join(manifests, 'pods.yaml');
  assert.deepEqual(
    entries.map(({ kind, title }) => [kind, title]),
    [
      ['document', join(manifests, 'a.toml')],
      ['initdata', join(manifests, 'below/initdata.toml')],
      ['pod', `Pod one (${pods}:1:1)`],
      ['pod', `Pod two (${pods}:7:1)`],
    ],
  );
  const one = digest([join(manifests, 'a.toml'), '--base', base]);
  assert.deepEqual(entries[0]?.configuration, one.configuration);
  const own = digest([
    join(manifests, 'a.toml'),
    '--base',
    base,
    '--initdata',
    join(manifests, 'below/initdata.toml'),
  ]);
  for (const entry of entries.slice(1)) {
    assert.deepEqual(entry.configuration, { asInitdata: own.configuration.asInitdata });
    assert.equal(entry.initdata.hostdata, own.initdata.hostdata);
  }
  const printed = runBinary(args).stdout;
  assert.equal(
    printed.split(`RTMR 3      sha384:${own.configuration.asInitdata.rtmr3.sha384}`).length,
    4,
    printed,
  );
  assert.match(
    runBinary(['config', 'digest', pods]).stderr,
    /note: without --base, register values are of the initdata alone/,
  );
});

test('an invalid document is an error that names it, and the others of its directory are printed', () => {
  const manifests = join(directory, 'wrong');
  mkdirSync(manifests);
  file('wrong/a.toml', text);
  const broken = file('wrong/b.toml', '[api]\nnonsense = 1\n');
  const run = (...more: readonly string[]) => runBinary(['config', 'digest', manifests, ...more]);
  const first = run('--format', 'json');
  assert.equal(first.code, 1);
  const entries = JSON.parse(first.stdout) as readonly Entry[];
  assert.equal(entries[0]?.document.sha256, sha256(text));
  assert.match(entries[1]?.error?.message ?? '', /b\.toml does not load/);
  assert.match(run().stderr, /b\.toml:2:1: .*nonsense[^]*b\.toml does not load: 1 error/);
  const alone = runBinary(['config', 'digest', broken]);
  assert.deepEqual([alone.code, alone.stdout], [1, '']);
  file('wrong/c.yaml', podText('p', 'xyz'));
  file('wrong/d.toml', 'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n"aa.toml" = ""\n');
  const all = run();
  assert.equal(all.code, 1);
  assert.ok(all.stdout.startsWith(`${join(manifests, 'a.toml')}\n`), all.stdout);
  assert.match(
    all.stderr,
    /3 of 4 documents have no digest[^]*b\.toml does not load[^]*c\.yaml:1:1: the annotation[^]*d\.toml: the initdata has no kata-agent\.toml/,
  );
  assert.equal(run('--out', join(directory, 'x.img')).code, 2);
  rmSync(manifests, { recursive: true });
  mkdirSync(manifests);
  assert.equal(run().code, 1);
});
