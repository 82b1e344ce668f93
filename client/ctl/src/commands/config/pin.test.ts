import assert from 'node:assert/strict';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Ended, runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-agent-ctl-pin-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const digest = `sha256:${'1'.repeat(64)}`;
const configuration = JSON.stringify({
  architecture: 'amd64',
  os: 'linux',
  config: { Entrypoint: ['/start'], Env: ['A=b'] },
  rootfs: { type: 'layers', diff_ids: [digest] },
});
const lock = file(
  'images.lock',
  JSON.stringify({
    version: 1,
    images: {
      'registry.example/web:1': { digest, manifestDigest: `sha256:${'2'.repeat(64)}`, configuration },
    },
  }),
);
const locked = ['--images', 'lock', '--lock', lock];

const pod = (image: string): string =>
  `# The web server.\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n    - name: app   # keep\n      image: "${image}"\n`;
const plain = pod('registry.example/web:1');
const pinned = pod(`registry.example/web:1@${digest}`);

const pin = (...more: readonly string[]): Ended => runBinary(['config', 'pin', ...more]);

test('the digest of the lock is written, everything else stays, and the second run changes nothing', () => {
  const first = pin('-f', file('pod.yaml', plain), ...locked);
  assert.deepEqual([first.code, first.stdout, first.stderr], [0, pinned, '']);
  const path = file('pinned.yaml', pinned);
  const again = pin('-f', path);
  assert.deepEqual([again.code, again.stdout], [0, pinned]);
  assert.deepEqual(pin('-f', path, '--check').stdout, '');
  assert.equal(pin('-f', path, '--check').code, 0);
});

test('an image of the lock that is for another platform is refused', () => {
  const path = file('pod.yaml', plain);
  const { code, stdout, stderr } = pin('-f', path, ...locked, '--platform', 'linux/s390x');
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(
    stderr,
    /image registry\.example\/web:1: it is for linux\/amd64, not for linux\/s390x\n[^]*--platform/,
  );
});

test('a check names each image without a digest, and asks nobody', () => {
  const path = file('open.yaml', `${plain}    - {name: b, image: busybox}\n---\n${pinned}`);
  const { code, stdout, stderr } = pin('-f', path, '--check');
  assert.deepEqual([code, stderr], [4, '']);
  assert.equal(
    stdout,
    `Pod web (${path}:2:1)\n  spec.containers[0].image: registry.example/web:1 has no digest\n  spec.containers[1].image: busybox has no digest\n`,
  );
  const json = JSON.parse(pin('-f', path, '--check', '--format', 'json').stdout) as {
    workloads: { unpinned: object[] }[];
  };
  assert.deepEqual(
    json.workloads.map(({ unpinned }) => unpinned.length),
    [2, 0],
  );
});

test('a directory is pinned in place, and a pipe through', () => {
  const manifests = join(directory, 'manifests');
  mkdirSync(join(manifests, 'below'), { recursive: true });
  writeFileSync(join(manifests, 'service.yaml'), 'kind: Service\n');
  writeFileSync(join(manifests, 'below', 'web.yml'), plain);
  const { code, stdout, stderr } = pin('-f', manifests, '-i', ...locked);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^Pod web \(.*web\.yml:2:1\)\n {2}spec\.containers\[0\]\.image: registry\.example\/web:1 → registry\.example\/web:1@sha256:1+\n$/,
  );
  assert.equal(readFileSync(join(manifests, 'below', 'web.yml'), 'utf8'), pinned);
  assert.equal(readFileSync(join(manifests, 'service.yaml'), 'utf8'), 'kind: Service\n');
  assert.equal(runBinary(['config', 'pin', '-f', '-', ...locked], plain).stdout, pinned);
});

test('a file that is written in place keeps its byte order mark', () => {
  const path = file('mark.yaml', `\ufeff${plain}`);
  for (const [command, ...more] of [
    ['config', 'pin'],
    ['annotate', '--pin'],
  ] as const) {
    const { code, stderr } = runBinary([command, ...more, '-f', path, '-i', ...locked]);
    assert.equal(code, 0, stderr);
    const text = readFileSync(path, 'utf8');
    assert.equal(text.lastIndexOf('\ufeff'), 0);
    assert.ok(text.includes(`web:1@${digest}`));
  }
});

test('what is passed over is said, and an image without a source of its digest is an error', () => {
  const rollout = `kind: Rollout\nmetadata: {name: r}\nspec: {template: {spec: {containers: [{name: a, image: b}]}}}\n`;
  const path = file('rollout.yaml', `${pinned}---\n${rollout}`);
  assert.match(
    pin('-f', path, '--check').stderr,
    /note: .*Rollout r is skipped.*--pod-template spec\.template/,
  );
  assert.equal(pin('-f', path, '--check', '--pod-template', 'spec.template').code, 4);
  const unknown = pin('-f', file('unknown.yaml', pod('other:1')), ...locked);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /images\.lock does not have image other:1/);
  const none = pin('-f', file('pod.yaml', plain));
  assert.equal(none.code, 2);
  assert.match(none.stderr, /no source of digests given[^]*--images pull/);
  assert.equal(pin('-f', path, '-i', '--check').code, 2);
  assert.equal(pin().code, 2);
  const wrong = pin('-f', file('wrong.yaml', pod('<YOURS>')), '--check');
  assert.equal(wrong.code, 1);
  assert.match(
    wrong.stderr,
    /wrong\.yaml:8:14: spec\.containers\[0\]\.image: "<YOURS>" is no name of an image/,
  );
});

test('annotate pins first: its configuration is that of the pinned image, which the lock has as well', () => {
  const path = file('pod.yaml', plain);
  const made = runBinary(['annotate', '-f', path, '--pin', ...locked]);
  assert.equal(made.code, 0, made.stderr);
  assert.ok(made.stdout.includes(`image: "registry.example/web:1@${digest}"`));
  const annotated = file('annotated.yaml', made.stdout);
  const document = runBinary(['config', 'show', annotated, '--file', 'kata-agent.toml']).stdout;
  assert.ok(document.includes(`web:1@${digest}`) && document.includes('"/start"'), document);
  const again = runBinary(['annotate', '-f', annotated, '--pin', ...locked, '--check']);
  assert.deepEqual([again.code, again.stdout], [0, ''], again.stderr);
  const stale = runBinary(['annotate', '-f', path, '--pin', ...locked, '--check']);
  assert.equal(stale.code, 4);
  assert.match(
    stale.stdout,
    /^ {2}spec\.containers\[0\]\.image: registry.* → .*@sha256:1+\n {2}it has no initdata$/m,
  );
});
