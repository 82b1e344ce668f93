import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { enginePath, libraryDirectories } from '@kata-agent/catalogue';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { SpecSchema } from '@kata-agent/protocol/oci';
import * as fc from 'fast-check';
import type { RuleImage, RuleImageConfig } from '../rule-context.js';
import { ask, context, fault, rule } from '../rules/rules.test.fixture.js';
import type { ImageProgram } from '@kata-agent/catalogue';

const config: RuleImageConfig = {
  entrypoint: ['/app/bin/serve', '--listen'],
  cmd: ['80'],
  env: ['PATH=/app/bin:/usr/bin', 'MODE=production'],
  user: 'app',
  workingDir: '/srv',
  volumes: [],
  stopSignal: '',
};
const program: ImageProgram = {
  files: ['/app/bin/serve', '/opt/app-1.2/bin/serve', '/lib64/ld-linux-x86-64.so.2', '/etc/ld.so.preload'],
  directories: libraryDirectories,
  mounts: [],
  replaced: [],
  declared: { uid: 1000, gid: 2000, groups: [30] },
  requested: { uid: 1000, gid: 2000, groups: [30] },
};
const image: RuleImage = { from: 'pulled', reference: 'app', config, program };

type SpecInit = MessageInitShape<typeof SpecSchema>;
type ProcessInit = NonNullable<SpecInit['Process']>;

const process = {
  Args: ['/app/bin/serve', '--listen', '80'],
  Env: ['PATH=/app/bin:/usr/bin', 'MODE=production'],
  Cwd: '/srv',
  User: { UID: 1000, GID: 2000, AdditionalGids: [2000, 30] },
};

interface Call {
  readonly process?: Partial<ProcessInit>;
  readonly mounts?: readonly string[];
  readonly image?: Partial<RuleImage>;
  readonly program?: Partial<ImageProgram>;
}

function decide(call: Call, expression = 'runs_image_entrypoint()') {
  const mounts = call.mounts ?? [];
  const request = create(CreateContainerRequestSchema, {
    OCI: {
      Process: { ...process, ...call.process } as ProcessInit,
      Mounts: mounts.map((destination) => ({ destination, type: 'bind', source: '/run/x' })),
    },
  });
  const seen = { ...image, program: { ...program, mounts, ...call.program }, ...call.image };
  return ask([rule(expression, ['CreateContainer'])], 'CreateContainer', request, {
    ...context,
    image: seen,
  });
}

const allows = (call: Call, expression?: string): boolean => decide(call, expression).outcome === 'allow';

test('the process of the image is allowed, and each thing that differs is denied by name', () => {
  assert.equal(decide({}).outcome, 'allow');
  assert.ok(allows({ mounts: ['/etc/hosts', '/etc/resolv.conf', '/dev/shm', '/proc', '/data', '/srv'] }));
  const differences: readonly (readonly [Call, RegExp])[] = [
    [{ process: { Args: ['/bin/sh'] } }, /\(args\[0\] differs\)/],
    [{ process: { Args: ['/app/bin/serve', '--listen'] } }, /\(args\[2\] is missing\)/],
    [{ process: { Args: [...process.Args, 'x'] } }, /\(args\[3\] is one too many\)/],
    [{ process: { Args: [] } }, /\(args\[0\] is missing\)/],
    [{ process: { Env: [...process.Env, 'LD_PRELOAD=/x.so'] } }, /"LD_PRELOAD" is neither the image's nor/],
    [{ process: { Env: process.Env.slice(0, 1) } }, /variable "MODE" of the image is missing/],
    [{ process: { Env: [...process.Env.slice(0, 1), 'MODE=debug'] } }, /variable "MODE" has another value/],
    [{ process: { Env: [...process.Env, 'MODE=production'] } }, /variable "MODE" is duplicated/],
    [{ process: { Env: [...process.Env, 'MODE'] } }, /no NAME=value/],
    [{ process: { Cwd: '/' } }, /the working directory differs/],
    [{ process: { Cwd: '' } }, /the working directory differs/],
    [{ process: { User: { UID: 0, GID: 2000 } } }, /the user differs/],
    [{ process: { User: { UID: 1000, GID: 0 } } }, /the user differs/],
    [{ process: { User: { UID: 1000, GID: 2000, AdditionalGids: [0] } } }, /a group that is neither/],
    [{ mounts: ['/app'] }, /the mount at "\/app" covers "\/app\/bin\/serve"/],
    [{ mounts: ['/app/bin/serve'] }, /covers "\/app\/bin\/serve"/],
    [{ mounts: ['/opt'] }, /covers "\/opt\/app-1.2\/bin\/serve"/],
    [{ mounts: ['/lib64'] }, /covers "\/lib64\/ld-linux/],
    [{ mounts: ['/etc'] }, /covers "\/etc\/ld.so.preload"/],
    [{ mounts: ['/usr'] }, /covers "\/usr\/lib"/],
    [{ mounts: ['/usr/lib/x86_64-linux-gnu/libc.so.6'] }, /covers "\/usr\/lib"/],
    [{ mounts: ['/'] }, /covers/],
    // What a destination leads to counts, not how it is written.
    [{ mounts: ['/config'], program: { mounts: ['/app/bin'] } }, /the mount at "\/config" covers/],
    [{ program: { replaced: ['/app/bin/serve'] } }, /covers/],
    [{ image: { program: undefined } }, /the program is not found/],
    [{ image: { config: undefined } }, /does not know what the image declares/],
    [{ image: { from: 'pause_bundle', config: undefined, program: undefined } }, /does not know/],
    [
      { image: { config: { ...config, entrypoint: [], cmd: [] } }, process: { Args: [] } },
      /declares no process/,
    ],
    [{ program: { declared: undefined } }, /does not have the user/],
  ];
  for (const [call, reason] of differences) {
    const decision = decide(call);
    assert.equal(decision.outcome, 'deny', JSON.stringify(call));
    assert.match(decision.reason, reason);
  }
});

test('values of arguments and variables are not in the reason of a denial', () => {
  for (const call of [
    { process: { Args: ['/app/bin/serve', 's3cret'] } },
    { process: { Env: ['PATH=s3cret', 'MODE=s3cret', 'X=s3cret'] } },
  ])
    assert.doesNotMatch(decide(call).reason, /s3cret/);
});

test('what a rule names may differ, and nothing else', () => {
  const args = 'runs_image_entrypoint(["--port=80"])';
  const started = (...more: string[]) => ({ process: { Args: ['/app/bin/serve', '--listen', ...more] } });
  assert.ok(allows(started('--port=80'), args));
  assert.ok(!allows(started('--port=81'), args));
  assert.ok(!allows({}, args));
  assert.ok(allows(started(), 'runs_image_entrypoint([])'));
  assert.ok(allows(started('--port=80'), 'runs_image_entrypoint({"args": ["--port=80"], "env": []})'));

  const env = 'runs_image_entrypoint({"env": ["HOSTNAME", "MODE=debug", "*_SERVICE_*", "KUBERNETES_*"]})';
  const withEnv = (...more: string[]) => ({ process: { Env: [process.Env[0] ?? '', ...more] } });
  assert.ok(allows(withEnv('MODE=debug', 'HOSTNAME=x', 'A_SERVICE_PORT=1', 'KUBERNETES_PORT=2'), env));
  assert.ok(allows(withEnv(), env));
  for (const other of ['MODE=production', 'HOSTNAMES=x', 'A_SERVICE=1', 'XKUBERNETES_=2', 'LD_PRELOAD=x'])
    assert.ok(!allows(withEnv(other), env), other);

  const mounts = 'runs_image_entrypoint({"mounts": ["/app/bin/serve", "/usr/lib/plugins/"]})';
  assert.ok(allows({ mounts: ['/app/bin/serve', '/usr/lib/plugins'] }, mounts));
  assert.ok(!allows({ mounts: ['/app/bin/serve', '/app/bin'] }, mounts));
  assert.ok(!allows({ mounts: ['/usr/lib/plugins/x'] }, mounts));

  const user = 'runs_image_entrypoint({"user": ["7:8", "9"], "groups": ["50"]})';
  const as = (UID: number, GID: number, ...AdditionalGids: number[]): Call => ({
    process: { User: { UID, GID, AdditionalGids } },
    program: { requested: { uid: UID, gid: 90, groups: [91] } },
  });
  for (const call of [as(7, 8, 8, 50), as(9, 90, 91)]) assert.ok(allows(call, user));
  for (const call of [as(1000, 2000), as(7, 9), as(9, 0), as(7, 8, 51)]) assert.ok(!allows(call, user));
});

test('a rule may name other working directories', () => {
  const cwd = 'runs_image_entrypoint({"cwd": ["/data", "/"]})';
  for (const [Cwd, is] of [
    ['/data', true],
    ['', true],
    ['/srv', false],
  ] as const)
    assert.equal(allows({ process: { Cwd } }, cwd), is, Cwd);
});

test('an image without PATH has the PATH of engines', () => {
  const without: Call = { image: { config: { ...config, env: [] } } };
  assert.ok(allows({ ...without, process: { Env: [`PATH=${enginePath}`] } }));
  assert.ok(!allows({ ...without, process: { Env: ['PATH=/tmp'] } }));
  assert.ok(!allows({ ...without, process: { Env: [] } }));
});

test('a rule names only what there is, in lists of texts', () => {
  const resultOf = (expression: string, ...methods: ('CreateContainer' | 'ExecProcess')[]) =>
    fault(expression, ...(methods.length === 0 ? (['CreateContainer'] as const) : methods));
  assert.equal(resultOf('runs_image_entrypoint({})'), 'none');
  assert.match(resultOf('runs_image_entrypoint({"arg": []})'), /has no "arg" \(did you mean "args"/);
  assert.match(resultOf('runs_image_entrypoint({"args": [], "args": []})'), /this key twice/);
  assert.match(resultOf('runs_image_entrypoint("x")'), /takes lists of texts, and this is a string/);
  assert.match(resultOf('runs_image_entrypoint({"env": [1]})'), /this is a list\(int\)/);
  assert.match(resultOf('runs_image_entrypoint([], [])'), /it is written runs_image_entrypoint\(\)/);
  assert.match(resultOf('"x".runs_image_entrypoint()'), /it is written/);
  assert.match(resultOf('runs_image_entrypoint(args)'), /none/);
  assert.match(
    resultOf('runs_image_entrypoint', 'CreateContainer'),
    /there is no "runs_image_entrypoint" here/,
  );
  assert.match(
    resultOf('runs_image_entrypoint()', 'ExecProcess'),
    /ExecProcess has no runs_image_entrypoint\(\) \(CreateContainer has it\)/,
  );
  assert.match(resultOf('runs_image_entry()'), /did you mean "runs_image_entrypoint"/);
});

test('it is evaluated after the pull', () => {
  const request = create(CreateContainerRequestSchema, { storages: [{ driver: 'image_guest_pull' }] });
  const rules = [rule('runs_image_entrypoint()', ['CreateContainer'])];
  assert.equal(ask(rules, 'CreateContainer', request).outcome, 'allow');
  assert.equal(
    ask(rules, 'CreateContainer', request, { ...context, image: { from: 'host' } }).code,
    'KA3101',
  );
});

test('a difference is of the rule that denies', () => {
  const request = create(CreateContainerRequestSchema);
  const rules = ['!runs_image_entrypoint()', 'args.size() == 1'].map((text, index) =>
    rule(text, ['CreateContainer'], { name: `r${index}` }),
  );
  const { reason } = ask(rules, 'CreateContainer', request, { ...context, image: { from: 'host' } });
  assert.equal(reason, 'rule "r1" refused it (config.toml:7)');
});

/** One change of a request that runs the entrypoint; each must be denied. */
const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,12}$/);
const segment = fc.stringMatching(/^[a-z0-9.-]{1,8}$/).filter((text) => !/^\.+$/.test(text));
const protectedPath = fc.constantFrom(...program.files, ...program.directories);
const change: fc.Arbitrary<Call> = fc.oneof(
  fc
    .tuple(fc.nat(process.Args.length), fc.string())
    .map(([at, word]) => ({ process: { Args: process.Args.toSpliced(at, 0, word) } })),
  fc.nat(process.Args.length - 1).map((at) => ({ process: { Args: process.Args.toSpliced(at, 1) } })),
  fc
    .tuple(fc.nat(process.Args.length - 1), fc.string())
    .filter(([at, word]) => process.Args[at] !== word)
    .map(([at, word]) => ({ process: { Args: process.Args.with(at, word) } })),
  fc
    .tuple(name, fc.string())
    .map(([variable, value]) => ({ process: { Env: [...process.Env, `${variable}=${value}`] } })),
  fc.nat(process.Env.length - 1).map((at) => ({ process: { Env: process.Env.toSpliced(at, 1) } })),
  fc
    .tuple(fc.nat(process.Env.length - 1), fc.string({ minLength: 1 }))
    .map(([at, more]) => ({ process: { Env: process.Env.with(at, `${process.Env[at]}${more}`) } })),
  fc.string({ minLength: 1 }).map((more) => ({ process: { Cwd: `/srv${more}` } })),
  fc
    .tuple(fc.nat(), fc.nat())
    .filter(([uid, gid]) => uid !== 1000 || gid !== 2000)
    .map(([UID, GID]) => ({ process: { User: { UID, GID } } })),
  fc
    .nat()
    .filter((group) => group !== 2000 && group !== 30)
    .map((group) => ({ process: { User: { UID: 1000, GID: 2000, AdditionalGids: [group] } } })),
  // At a protected path, or at a parent of one.
  fc.tuple(protectedPath, fc.nat(3)).map(([path, up]) => {
    const parts = path.split('/').slice(1);
    return { mounts: [`/${parts.slice(0, Math.max(parts.length - up, 0)).join('/')}`] };
  }),
  fc
    .tuple(fc.constantFrom(...program.directories), fc.array(segment, { minLength: 1, maxLength: 4 }))
    .map(([path, below]) => ({ mounts: [`${path}/${below.join('/')}`] })),
);

test('each single change of a request that runs the entrypoint is denied', () => {
  fc.assert(fc.property(change, (call) => !allows(call)));
});

test('mounts beside the program are allowed', () => {
  const beside = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => `/data/${parts.join('/')}`);
  fc.assert(fc.property(fc.array(beside), (mounts) => allows({ mounts })));
});

test('in the root as a directory with libraries, a mount counts unless each system has its directory', () => {
  const root = { directories: ['/'] };
  assert.ok(allows({ program: root, mounts: ['/data/x', '/etc/hosts', '/proc'] }));
  for (const path of ['/libc.so.6', '/glibc-hwcaps/x86-64-v2', '/tls'])
    assert.ok(!allows({ program: root, mounts: [path] }), path);
});

test('a name with * is for no variable of the image', () => {
  const ofImage = { config: { ...config, env: ['PATH=/usr/bin', 'APP_PORT=80'] } };
  const allowsEnv = (env: readonly string[], listed: string): boolean =>
    allows(
      { process: { Env: ['PATH=/usr/bin', ...env] }, image: ofImage },
      `runs_image_entrypoint({"env": ["${listed}"]})`,
    );
  assert.ok(allowsEnv(['APP_PORT=80', 'WEB_PORT=1'], '*_PORT*'));
  for (const listed of ['*_PORT*', '*', 'APP_*=1'])
    for (const env of [['APP_PORT=1'], []]) assert.ok(!allowsEnv(env, listed), `${listed} ${env.join()}`);
  assert.ok(allowsEnv(['APP_PORT=1'], 'APP_PORT'));
});
