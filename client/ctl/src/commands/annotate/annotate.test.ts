import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { initdataAnnotation, parseInitdata } from '@kata-agent/config';
import { readWorkloads } from '@kata-agent/workloads';
import { type Ended, runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-agent-ctl-annotate-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const annotate = (...more: readonly string[]): Ended => runBinary(['annotate', ...more]);

const pod = `# The web server.
apiVersion: v1
kind: Pod
metadata:
  name: web   # keep
spec:
  containers:
    - name: app
      image: docker.io/library/nginx:1.27
      command: [nginx, -g, daemon off;]
`;

const base = file(
  'base.toml',
  `[agent]
lock = true
[api]
release = "4.1"
on_denied_read = "eof"
allowed_endpoints = ["@pod", "@copy"]
[delivery]
accept = ["initdata"]
bind = "host_data"
`,
);

/** The files of the initdata of the only workload. */
function initdata(text: string): ReadonlyMap<string, string> {
  const [workload] = readWorkloads([{ file: 'pod.yaml', text }]);
  const value = workload?.annotations.get(initdataAnnotation) ?? '';
  const parsed = parseInitdata(gunzipSync(Buffer.from(value, 'base64')), 'initdata');
  assert.ok(parsed.ok);
  return parsed.files;
}

function withInitdata(text: string, envelope: string): string {
  const value = gzipSync(envelope).toString('base64');
  return text.replace('  name: web', `  annotations:\n    ${initdataAnnotation}: ${value}\n  name: web`);
}

test('a pod gets an annotation, everything else stays, and the second run changes nothing', () => {
  const first = annotate('-f', file('pod.yaml', pod), '--base', base);
  assert.equal(first.code, 0, first.stderr);
  const lines = first.stdout.split('\n');
  const added = lines.filter((line) => !pod.split('\n').includes(line));
  assert.equal(added.length, 2, added.join('\n'));
  assert.equal(lines.filter((line) => !added.includes(line)).join('\n'), pod);
  const document = initdata(first.stdout).get('kata-agent.toml') ?? '';
  assert.match(document, /^# containers\[0\]\.command\nargs = \["nginx", "-g", "daemon off;"\]$/m);
  assert.doesNotMatch(document, /^(lock|on_denied_read|privileged_containers)/m);
  const again = annotate('-f', file('again.yaml', first.stdout), '--base', base);
  assert.deepEqual([again.code, again.stdout], [0, first.stdout]);
});

test('a check names what differs by the field of the pod', () => {
  const { stdout } = annotate('-f', file('pod.yaml', pod), '--base', base);
  const fresh = annotate('-f', file('fresh.yaml', stdout), '--base', base, '--check');
  assert.deepEqual([fresh.code, fresh.stdout], [0, '']);
  const changed = annotate(
    '-f',
    file('stale.yaml', stdout.replace('1.27', '1.28')),
    '--base',
    base,
    '--check',
  );
  assert.equal(changed.code, 4);
  assert.equal(
    changed.stdout,
    `Pod web (${join(directory, 'stale.yaml')}:2:1)\n  containers[0].image: ["docker.io/library/nginx:1.27"] → ["docker.io/library/nginx:1.28"]\n`,
  );
  const none = annotate('-f', file('none.yaml', pod), '--base', base, '--check');
  assert.equal(none.code, 4);
  assert.match(none.stdout, /^ {2}it has no initdata$/m);
});

test('files of a directory are annotated in place, and objects without pods stay', () => {
  const manifests = join(directory, 'manifests');
  mkdirSync(join(manifests, 'below'), { recursive: true });
  const settings = 'kind: ConfigMap\nmetadata: {name: s}\ndata: {A: b}\n';
  writeFileSync(join(manifests, 'settings.yaml'), settings);
  writeFileSync(join(manifests, 'below', 'web.yml'), pod);
  writeFileSync(join(manifests, 'readme.md'), '{{ none');
  const { code, stdout, stderr } = annotate('-f', manifests, '-i', '--base', base);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Pod web \(.*web\.yml:2:1\)\n {2}it has no initdata\n$/);
  assert.equal(readFileSync(join(manifests, 'settings.yaml'), 'utf8'), settings);
  assert.ok(initdata(readFileSync(join(manifests, 'below', 'web.yml'), 'utf8')).has('kata-agent.toml'));
  assert.equal(annotate('-f', manifests, '--check', '--base', base).code, 0);
});

test('objects come through a pipe', () => {
  const { code, stdout, stderr } = runBinary(
    ['annotate', '-f', '-', '--base', base],
    `${pod}---\nkind: Service\n`,
  );
  assert.equal(code, 0, stderr);
  assert.ok(initdata(stdout).has('kata-agent.toml'));
  assert.ok(stdout.endsWith('---\nkind: Service\n'));
});

test('other files of initdata stay, also in their notation, and options replace them', () => {
  const envelope = `version = "0.1.0"\nalgorithm = "sha384"\n[data]\n"aa.toml" = "a = 1"\n"cdh.toml" = "c = 1"\n`;
  const made = annotate('-f', file('kept.yaml', withInitdata(pod, envelope)), '--base', base);
  assert.equal(made.code, 0, made.stderr);
  const files = initdata(made.stdout);
  assert.deepEqual([...files.keys()], ['aa.toml', 'cdh.toml', 'kata-agent.toml']);
  assert.equal(files.get('aa.toml'), 'a = 1');
  const replaced = annotate(
    '-f',
    file('kept2.yaml', made.stdout),
    '--base',
    base,
    '--aa',
    file('aa.toml', 'a = 2'),
  );
  assert.equal(initdata(replaced.stdout).get('aa.toml'), 'a = 2');
  assert.equal(initdata(replaced.stdout).get('cdh.toml'), 'c = 1');
});

test('a document that the command did not write is not replaced', () => {
  const envelope = `version = "0.1.0"\nalgorithm = "sha256"\n[data]\n"kata-agent.toml" = "[api]"\n`;
  const { code, stdout, stderr } = annotate(
    '-f',
    file('own.yaml', withInitdata(pod, envelope)),
    '--base',
    base,
  );
  assert.deepEqual([code, stdout], [4, '']);
  assert.match(stderr, /own\.yaml:2:1: its initdata has a kata-agent\.toml that this command did not write/);
  const more = file('more.toml', '[limits]\ncontainers = 3\n');
  const appended = annotate('-f', file('more.yaml', pod), '--base', base, '--document', more);
  assert.equal(appended.code, 0, appended.stderr);
  assert.match(initdata(appended.stdout).get('kata-agent.toml') ?? '', /^\[limits\]\ncontainers = 3$/m);
});

test('what the base document lacks is named, with exit code 4', () => {
  const probed = pod + '      livenessProbe: {exec: {command: ["true"]}}\n';
  const served = annotate('-f', file('probed.yaml', probed), '--base', base);
  assert.equal(served.code, 4);
  assert.match(served.stderr, /Pod web will not run: ExecProcess: .*livenessProbe\.exec/);
  assert.ok(initdata(served.stdout).has('kata-agent.toml'));
  const capable = pod + '      securityContext: {capabilities: {add: [NET_ADMIN]}}\n';
  const named = annotate('-f', file('capable.yaml', capable), '--base', base);
  assert.equal(named.code, 4);
  assert.match(named.stderr, /CAP_NET_ADMIN/);
  const unknown = annotate('-f', file('capable.yaml', capable));
  assert.equal(unknown.code, 4);
  assert.match(
    unknown.stderr,
    /needs this of the image, .* --base:\n\[agent\]\ncapabilities = \[\n {2}"CAP_NET_ADMIN",/,
  );
  const opened = file(
    'opened.toml',
    readFileSync(base, 'utf8').replace('lock', 'capabilities = ["CAP_NET_ADMIN"]\nlock'),
  );
  const given = annotate('-f', file('capable.yaml', capable), '--base', opened);
  assert.equal(given.code, 0, given.stderr);
  assert.equal(annotate('-f', file('plain.yaml', pod)).code, 0);
});

test('operators get a listener of their own, and the host gains nothing', () => {
  const listener = (name: string, endpoints: string): string =>
    `[[listener]]\nname = "${name}"\naddress = "unix:///run/${name}.sock"\nallowed_endpoints = ${endpoints}\n`;
  const two = file(
    'two.toml',
    readFileSync(base, 'utf8').replace(/allowed_endpoints.*\n/, '') +
      listener('host', '["@pod", "@copy", "ExecProcess", "ReadStdout"]') +
      listener('tenant', '["@exec", "@stdio", "WaitProcess", "SignalProcess"]'),
  );
  const probed = file('operated.yaml', pod);
  const { code, stdout, stderr } = annotate('-f', probed, '--base', two, '--operators', 'tenant');
  assert.equal(code, 0, stderr);
  assert.match(
    initdata(stdout).get('kata-agent.toml') ?? '',
    /^name = "exec-process-operators"\nendpoints = \["ExecProcess"\]\nexpression = 'listener == "tenant"'$/m,
  );
  for (const [name, message] of [
    ['host', /--operators 'host': this is the runtime's listener in .*two\.toml/],
    ['other', /--operators 'other': .*two\.toml has no such listener\n {2}listeners for operators: tenant/],
  ] as const) {
    const refused = annotate('-f', probed, '--base', two, '--operators', name);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, message);
  }
  assert.match(annotate('-f', probed, '--base', base, '--operators', 'x').stderr, /add a \[\[listener\]\]/);
  const unknown = annotate('-f', probed, '--operators', 'host');
  assert.equal(unknown.code, 2);
  assert.match(
    unknown.stderr,
    /--operators 'host': only the base document says whether this is the runtime's listener\n.*--base/s,
  );
});

test('a base document that does not accept initdata is an error', () => {
  const closed = file('closed.toml', '[api]\nrelease = "4.1"\nallowed_endpoints = ["@pod"]\n');
  const { code, stderr } = annotate('-f', file('pod.yaml', pod), '--base', closed);
  assert.equal(code, 1);
  assert.match(stderr, /closed\.toml does not accept initdata/);
});

test('an annotation that is not initdata is an error with its place', () => {
  const text = pod.replace('  name: web', `  annotations: {${initdataAnnotation}: xyz}\n  name: web`);
  const { code, stderr } = annotate('-f', file('broken.yaml', text));
  assert.equal(code, 1);
  assert.match(stderr, /broken\.yaml:2:1: the annotation .*cc_init_data cannot be unpacked/);
});

test('a template of Helm is named', () => {
  const chart =
    'kind: Deployment\nmetadata:\n  name: {{ .Release.Name }}\n  {{- if .Values.x }}\n  a: b\n  {{- end }}\n';
  const { code, stderr } = annotate('-f', file('chart.yaml', chart));
  assert.equal(code, 1);
  assert.match(stderr, /chart\.yaml:\d+:\d+: this is a template of Helm/);
});

test('a template whose actions are flow mappings is named, too, and actions in texts are none', () => {
  const actions = 'kind: Pod\nmetadata:\n  name: {{ include "a.b" . }}\nspec: {containers: []}\n';
  const { code, stderr } = annotate('-f', file('actions.yaml', actions));
  assert.equal(code, 1);
  assert.match(stderr, /actions\.yaml:3:\d+: this is a template of Helm/);
  const text = `${pod}---\nkind: ConfigMap\nmetadata: {name: t}\ndata: {alert: "{{ .Labels.x }}"}\n`;
  assert.equal(annotate('-f', file('texts.yaml', text)).code, 0);
});

test('initdata that an agent would not read is an error', () => {
  const value = Array.from({ length: 6_000 }, (_, index) => `{name: V${index}, value: "${'x'.repeat(40)}"}`);
  const large = `${pod}      env: [${value.join(', ')}]\n`;
  const { code, stdout, stderr } = annotate('-f', file('large.yaml', large));
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /bytes|too long|characters/);
});

test('options that exclude each other are refused', () => {
  assert.equal(annotate('-f', 'x', '-i', '--check').code, 2);
  assert.equal(annotate('-f', '-', '-i').code, 2);
  assert.equal(annotate().code, 2);
});
