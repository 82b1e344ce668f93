import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Ended, runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-agent-ctl-generate-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const deployment = (name: string, image: string, more = ''): string => `apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}${more}}
spec:
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      containers:
      - {name: server, image: '${image}', command: [/bin/${name}]}
`;

const frontend = deployment('frontend', 'example.org/frontend:1');
const payment = deployment('payment', 'example.org/payment:1');
const shop = file('shop.yaml', `${frontend}---\n${payment}`);

interface Entry {
  readonly file: string;
  readonly digest: string;
  readonly place: string;
  readonly sufficient: boolean;
}

const generate = (...more: readonly string[]): Ended => runBinary(['config', 'generate', ...more]);

const check = (configuration: string, pod: string): Ended['code'] =>
  runBinary(['config', 'check', configuration, '--pod', pod]).code;

test('several workloads get a configuration each, in which none may run the container of another', () => {
  const out = join(directory, 'shop');
  const { code, stdout, stderr } = generate('--pod', shop, '--out', out);
  assert.equal(code, 0, stderr);
  const files = ['Deployment-frontend.toml', 'Deployment-payment.toml'].map((name) => join(out, name));
  assert.equal(stdout, files.map((each) => `${each}\n`).join(''));
  const pods = [file('frontend.yaml', frontend), file('payment.yaml', payment)];
  const codes = files.map((each) => pods.map((pod) => check(each, pod)));
  assert.deepEqual(codes, [
    [0, 4],
    [4, 0],
  ]);
});

test('files, directories and standard input are operands, as --pod takes them', () => {
  const several = join(directory, 'several');
  mkdirSync(several);
  const one = join(several, 'one.yaml');
  writeFileSync(one, frontend);
  const { code, stdout } = generate('--pod', one);
  assert.equal(code, 0);
  assert.equal(generate(one).stdout, stdout);
  assert.equal(generate(several).stdout, stdout.replace('(one.yaml)', '(several)'));
  const piped = runBinary(['config', 'generate', '-'], frontend);
  assert.equal(piped.stdout, stdout.replace('(one.yaml)', '(-)'));
  const { code: none, stderr } = generate();
  assert.equal(none, 2);
  assert.match(stderr, /no workload given\n.*kata-agent-ctl config generate pod\.yaml/s);
});

test('the index has the file, the digest and the result of each workload', () => {
  const out = join(directory, 'indexed');
  const { stdout } = generate('--pod', shop, '--out', out, '--format', 'json');
  const index = JSON.parse(readFileSync(join(out, 'index.json'), 'utf8')) as { configurations: Entry[] };
  assert.deepEqual(JSON.parse(stdout), index);
  for (const { file: name, digest } of index.configurations)
    assert.ok(runBinary(['config', 'digest', join(out, name)]).stdout.includes(digest));
  const entries = index.configurations.map(({ file: name, place, sufficient }) => [name, place, sufficient]);
  assert.deepEqual(entries, [
    ['Deployment-frontend.toml', `${shop}:1:1`, true],
    ['Deployment-payment.toml', `${shop}:12:1`, true],
  ]);
});

test('without an option several workloads are refused, and nothing is printed', () => {
  const { code, stdout, stderr } = generate('--pod', shop);
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /2 workloads: in one configuration each may run the images and commands of the others/,
  );
  assert.match(stderr, /--out DIR[^]*--union/);
  assert.equal(generate('--pod', shop, '--union', '--out', join(directory, 'both')).code, 2);
});

test('a union says what it merges', () => {
  const { code, stdout, stderr } = generate('--pod', shop, '--union');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^# .*Deployment frontend, Deployment payment/);
  assert.match(stdout, /^# Union of 2 workloads: each may do what any of them may/m);
  assert.equal(check(file('union.toml', stdout), shop), 0);
});

test('workloads of one name are told apart by their namespaces, and files of others are named', () => {
  const out = join(directory, 'namespaces');
  const two = `${deployment('a', 'i:1', ', namespace: one')}---\n${deployment('a', 'i:1', ', namespace: two')}`;
  assert.equal(generate('--pod', file('two.yaml', two), '--out', out).code, 0);
  const names = ['Deployment-one-a.toml', 'Deployment-two-a.toml'];
  assert.deepEqual(readdirSync(out), [...names, 'index.json']);
  const { stderr } = generate('--pod', file('one.yaml', frontend), '--out', out);
  for (const name of names) assert.ok(stderr.includes(`${join(out, name)} is not a configuration of these`));
});

test('invalid names of objects, and two objects of one name, are refused', () => {
  const out = join(directory, 'names');
  const escaping = file('escaping.yaml', deployment('../x', 'i:1'));
  const twice = file('twice.yaml', `${frontend}---\n${frontend}`);
  for (const pod of [escaping, twice]) assert.equal(generate('--pod', pod, '--out', out).code, 1, pod);
  assert.ok(!readdirSync(directory).includes('names'));
});

test('a configuration that does not load is not printed', () => {
  const image = `<YOUR-CONTAINER>@sha256:${'a'.repeat(64)}`;
  const pod = file('placeholder.yaml', deployment('app', image));
  const { code, stdout, stderr } = generate('--pod', pod, '--guest', 'confidential', '--puller', 'built-in');
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /^the configuration of Deployment app:\d+:\d+: error\[KA1102\]/);
});

const mounting = (...paths: readonly string[]): string =>
  deployment('app', 'i:1').replace(
    'command: [/bin/app]}',
    `command: [/bin/app], volumeMounts: [${paths.map((path) => `{name: v, mountPath: ${path}}`).join(', ')}]}
      volumes: [{name: v, hostPath: {path: /srv}}]`,
  );

for (const setup of [[], ['--runtime', 'go']])
  test(`mounts in any order, and with a slash at their end, are sufficient (${setup.join(' ')})`, () => {
    const pod = file('mounts.yaml', mounting('/a/b/c', '/data/', '/data/below/', '/a'));
    const { code, stderr } = generate('--pod', pod, ...setup);
    assert.equal(code, 0, stderr);
  });

test('a file for an image that no container has is named, with the image that is meant', () => {
  const pod = file('cache.yaml', deployment('cache', 'docker.io/library/redis:7.4'));
  const given = ['--image-config', `redis:7.4=${file('redis.json', '{"config": {"Env": ["PATH=/bin"]}}')}`];
  const made = generate('--pod', pod, ...given);
  const note =
    'note: no container has the image redis:7.4, for which a file is given; help: did you mean "docker.io/library/redis:7.4"?';
  assert.ok(made.stderr.includes(note), made.stderr);
  assert.deepEqual([made.code, generate('--pod', pod, ...given, '--strict').code], [0, 4]);
  const checked = runBinary(['config', 'check', file('cache.toml', made.stdout), '--pod', pod, ...given]);
  assert.ok(checked.stderr.includes(note), checked.stderr);
});

const withSecurity = (name: string, security: string): string =>
  deployment(name, 'example.org/app:1').replace(
    `[/bin/${name}]}`,
    `[/bin/${name}], securityContext: ${security}}`,
  );

test('a pod that only privileged_containers = "allow" allows is denied with the reasons, unless that is asked for', () => {
  const pod = file('root.yaml', withSecurity('root', '{privileged: true}'));
  const { code, stdout, stderr } = generate('--pod', pod);
  assert.equal(code, 4, stderr);
  assert.doesNotMatch(stdout, /^privileged_containers/m);
  assert.match(stderr, /note: Deployment root will not run: .*: capabilities \(CAP_.*containers\[0\]/);
  assert.match(stderr, /note: only privileged_containers = "allow" allows this, .* --allow-privileged/);
  const allowed = generate('--pod', pod, '--allow-privileged');
  assert.equal(allowed.code, 0, allowed.stderr);
  assert.match(allowed.stdout, /^privileged_containers = "allow"$/m);
  assert.doesNotMatch(allowed.stderr, /will not run|--allow-privileged/);
});

test('an operator may do what --allow names, and nothing else', () => {
  const pod = file('operated.yaml', deployment('operated', 'example.org/app:1'));
  const allowed = ['--allow', 'logs', '--allow', 'top', '--allow', 'exec=cat /etc/motd'];
  const made = generate('--pod', pod, ...allowed);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /"StatsContainer", +# --allow top/);
  assert.match(made.stdout, /^# --allow exec\nexec = \[\["cat", "\/etc\/motd"\]\]$/m);
  const configuration = file('operated.toml', made.stdout);
  const checked = (...more: readonly string[]): Ended =>
    runBinary(['config', 'check', configuration, '--pod', pod, ...more]);
  assert.equal(checked(...allowed).code, 0);
  const other = checked('--allow', 'exec=cat /etc/passwd');
  assert.equal(other.code, 4);
  assert.match(other.stdout, /ExecProcess: .*; for --allow exec: kubectl exec/);
  const closed = file('closed.toml', generate('--pod', pod).stdout);
  for (const verb of ['logs', 'top', 'exec=cat /etc/motd'])
    assert.equal(runBinary(['config', 'check', closed, '--pod', pod, '--allow', verb]).code, 4, verb);
  // Logs alone do not open the output of commands, nor commands the logs.
  const onlyExec = file('exec.toml', generate('--pod', pod, '--allow', 'exec=["cat", "/a b"]').stdout);
  assert.equal(runBinary(['config', 'check', onlyExec, '--pod', pod, '--allow', 'logs']).code, 4);
});

for (const [verb, why] of [
  ['port-forward', /needs no method of the agent/],
  ['cp', /exec="tar cf - \/data"/],
  ['exec', /pass logs, attach, top, or exec=COMMAND/],
  ['exec=["a", 1]', /pass logs/],
] as const)
  test(`--allow ${verb} is refused with what to do`, () => {
    const { code, stderr } = generate('--pod', shop, '--union', '--allow', verb);
    assert.equal(code, 2);
    assert.match(stderr, why);
  });

test('a command of a shell is no variable of a Secret that is not given', () => {
  const pod = deployment('clock', 'example.org/app:1').replace(
    '[/bin/clock]}',
    `[sh, -c, 'echo $(date +%F) $(TOKEN)'], envFrom: [{secretRef: {name: keys}}]}`,
  );
  const { code, stdout, stderr } = generate('--pod', file('clock.yaml', pod));
  assert.equal(code, 0, stderr);
  assert.match(stdout, /"echo \$\(date \+%F\) " \+ /);
  const known = generate('--pod', file('known.yaml', pod.replace(' $(TOKEN)', '')));
  assert.doesNotMatch(known.stderr, /args\[|command\[/);
});

test('a directory of the guest that makes a container root of it is only for reading, or needs "allow"', () => {
  const mounting = (readOnly: boolean, path: string): string =>
    deployment('exporter', 'example.org/app:1').replace(
      '[/bin/exporter]}',
      `[/bin/exporter], volumeMounts: [{name: host, mountPath: /host/x, readOnly: ${readOnly}}]}
      volumes: [{name: host, hostPath: {path: ${path}}}]`,
    );
  for (const path of ['/proc', '/sys/fs/cgroup']) {
    const read = generate('--pod', file('read.yaml', mounting(true, path)));
    assert.equal(read.code, 0, read.stderr);
    assert.match(read.stdout, new RegExp(`^ {2}"${path}",`, 'm'));
    const pod = file('written.yaml', mounting(false, path));
    const written = generate('--pod', pod);
    assert.equal(written.code, 4, written.stderr);
    assert.doesNotMatch(written.stdout, /^guest_paths/m);
    assert.match(written.stderr, new RegExp(`guest-paths \\(rw:${path}\\)`));
    assert.match(written.stderr, /--allow-privileged/);
    assert.equal(generate('--pod', pod, '--allow-privileged').code, 0);
  }
});

test('an endpoint that is added by hand, and that no rule limits, is a warning', () => {
  const pod = file('app.yaml', frontend);
  const withExec = (text: string): string =>
    text.replace('allowed_endpoints = [', 'allowed_endpoints = [\n  "@exec",');
  const added = withExec(generate('--pod', pod, '--explicit').stdout);
  const { stderr } = runBinary(['config', 'check', file('exec.toml', added)]);
  assert.match(stderr, /warning\[KA1210\]: no rule limits ExecProcess \(which programs run in a container\)/);
  // The profile has rules for it, which allow the commands of the pod.
  const profiled = file('profiled.toml', withExec(generate('--pod', pod).stdout));
  const denied = runBinary(['config', 'check', profiled, '--pod', pod, '--allow', 'exec=id']);
  assert.equal(denied.code, 4);
  assert.match(denied.stdout, /ExecProcess: rule "exec-process-commands" refuses /);
});

test('a pod that needs one capability gets that alone, and no other pod may have it', () => {
  const pod = file('net.yaml', withSecurity('net', '{capabilities: {add: [NET_ADMIN]}}'));
  const { code, stdout, stderr } = generate('--pod', pod);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^capabilities = \[\n  "CAP_NET_ADMIN", # .*capabilities\.add\[0\]/m);
  const configuration = file('net.toml', stdout);
  assert.equal(check(configuration, pod), 0);
  const other = file('other.yaml', withSecurity('net', '{capabilities: {add: [NET_ADMIN, IPC_LOCK]}}'));
  assert.equal(check(configuration, other), 4);
});

test('an object with a pod template of another kind is named, and read with --pod-template', () => {
  const rollout = frontend
    .replace('apps/v1', 'argoproj.io/v1alpha1')
    .replace('kind: Deployment', 'kind: Rollout');
  const pod = file('rollout.yaml', `${payment}---\n${rollout}`);
  const { code, stderr } = generate('--pod', pod);
  assert.equal(code, 0);
  const note = 'Rollout frontend is skipped, and has a pod template: --pod-template spec.template';
  assert.ok(stderr.includes(note), stderr);
  assert.equal(generate('--pod', pod, '--strict').code, 4);
  const out = join(directory, 'rollout');
  const read = generate('--pod', pod, '--pod-template', 'spec.template', '--out', out);
  assert.equal(read.code, 0, read.stderr);
  assert.ok(!read.stderr.includes('is skipped'));
  assert.deepEqual(readdirSync(out).sort(), [
    'Deployment-payment.toml',
    'Rollout-frontend.toml',
    'index.json',
  ]);
  const configuration = join(out, 'Rollout-frontend.toml');
  assert.equal(
    runBinary(['config', 'check', configuration, '--pod', pod, '--pod-template', 'spec.template']).code,
    4,
    'not sufficient for the other workload',
  );
  const escaping = file('kind.yaml', rollout.replace('kind: Rollout', 'kind: ../x'));
  assert.equal(generate('--pod', escaping, '--pod-template', 'spec.template', '--out', out).code, 1);
});

test('how many facts rules constrain is said, and which they do not', () => {
  const pod = file('score.yaml', deployment('score', 'docker.io/library/redis:7.4'));
  const open = generate('--pod', pod);
  const [, constrained, facts] = /rules constrain (\d+) of (\d+) facts/.exec(open.stderr) ?? [];
  assert.ok(Number(constrained) < Number(facts), open.stderr);
  assert.ok(open.stdout.includes(`# Rules constrain ${constrained} of ${facts} facts of`));
  const config = file('all.json', '{"config": {"Env": ["PATH=/bin"], "Cmd": ["redis"], "User": "7:7"}}');
  const closed = generate('--pod', pod, '--image-config', `docker.io/library/redis:7.4=${config}`);
  assert.match(closed.stdout, new RegExp(`^# Rules constrain ${facts} of ${facts} facts of`, 'm'));
  assert.doesNotMatch(closed.stderr, /constrain/);
});

test('a volume over the kernel’s file systems is refused here, as by the agent', () => {
  const pod = file('cgroup.yaml', mounting('/sys/fs/cgroup'));
  const { code, stderr } = generate('--pod', pod);
  assert.equal(code, 4, stderr);
  assert.match(stderr, /kernel-filesystem \(a volume at \/sys\/fs\/cgroup\)/);
});

test('a pod with users of its own (hostUsers: false) runs with its configuration', () => {
  const pod = file('users.yaml', frontend.replace('    spec:\n', '    spec:\n      hostUsers: false\n'));
  for (const setup of [[], ['--runtime', 'go']]) {
    const { code, stdout, stderr } = generate('--pod', pod, ...setup);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^user_namespaces = true/m);
    assert.doesNotMatch(stdout, /^privileged_containers/m);
  }
});
