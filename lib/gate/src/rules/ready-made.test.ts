import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import { allow, isMethodName, type MethodName } from '@kata-agent/catalogue';
import {
  CopyFileRequestSchema,
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
  UpdateContainerRequestSchema,
  UpdateEphemeralMountsRequestSchema,
} from '@kata-agent/protocol/agent';
import { loadConfiguration } from '@kata-agent/config';
import { compileGate } from '../gate.js';
import { alwaysMasked, alwaysNamespaces, alwaysReadOnly } from '../privileged/runtime-defaults.js';
import type { RuleContext } from '../rule-context.js';
import { compileRules } from './rule-book.js';
import { createRuleChecker } from './compile/compile-rule.js';
import { context } from './rules.test.fixture.js';

const directory = new URL('../../../../examples/rules/', import.meta.url);

type Decide = (method: MethodName, request: Message, at?: RuleContext) => string;

/** Returns the agent's answers under this file: `allow`, or the name of the rule that denies. */
async function deciderOf(name: string): Promise<Decide> {
  const bytes = readFileSync(new URL(`${name}.toml`, directory));
  const loaded = await loadConfiguration({
    flags: {},
    environment: {},
    configFlag: `${name}.toml`,
    files: { read: () => ({ ok: true, bytes }) },
    rules: () => Promise.resolve(createRuleChecker()),
    delivery: [],
    hostData: () => ({ ok: false, message: 'no binding was written', help: '' }),
  });
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const { api } = loaded.configuration;
  const gate = compileGate({ api }, { listeners: ['host'] });
  const book = compileRules(api.documents.flatMap(({ rules }) => rules));
  return (method, request, at = context) => {
    assert.equal(gate.decide('host', method).outcome, 'allow', method);
    const { outcome, rule, reason } = book.decide(allow('host', method, ''), request, at);
    assert.ok(!reason.includes('evaluated'), reason);
    return outcome === 'allow' ? 'allow' : `${rule}`;
  };
}

const exec = (Args: string[], more: object = {}): Message =>
  create(ExecProcessRequestSchema, { containerId: 'c1', process: { Args, Env: ['PATH=/bin'], ...more } });
const container = (OCI: object, more: object = {}): Message =>
  create(CreateContainerRequestSchema, { containerId: 'c1', OCI, ...more });
const masked = {
  MaskedPaths: [...alwaysMasked],
  ReadonlyPaths: [...alwaysReadOnly],
  Namespaces: alwaysNamespaces.map((Type) => ({ Type })),
};

test('each ready-made file loads and has rules', async () => {
  const names = readdirSync(directory).filter((name) => name.endsWith('.toml'));
  assert.equal(names.length, 9);
  for (const name of names) await deciderOf(name.replace('.toml', ''));
});

test('denies privileged containers', async () => {
  const decide = await deciderOf('no-privileged-container');
  const plain = {
    Process: { Capabilities: { Bounding: ['CAP_KILL'] } },
    Mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs' },
    ],
    Linux: masked,
  };
  const refused = 'no-privileged-container';
  assert.equal(decide('CreateContainer', container(plain)), 'allow');
  const mighty = { ...plain, Process: { Capabilities: { Ambient: ['CAP_SYS_ADMIN'] } } };
  assert.equal(decide('CreateContainer', container(mighty)), refused);
  assert.equal(decide('CreateContainer', container({ ...plain, Linux: {} })), refused);
  assert.equal(decide('CreateContainer', container({})), refused);
  const all = { ...masked, Resources: { Devices: [{ Allow: true, Type: 'a', Access: 'rwm' }] } };
  assert.equal(decide('CreateContainer', container({ ...plain, Linux: all })), refused);
  assert.equal(decide('ExecProcess', exec(['sh'])), 'allow');
  const asked = exec(['sh'], { Capabilities: { Effective: ['CAP_SYS_MODULE'] } });
  assert.equal(decide('ExecProcess', asked), refused);
});

test('allows capabilities and devices from a list', async () => {
  const decide = await deciderOf('capabilities-and-devices');
  const spec = {
    Process: { Capabilities: { Bounding: ['CAP_CHOWN'] } },
    Linux: { Devices: [{ Path: '/dev/null', Type: 'c', Major: 1n, Minor: 3n }] },
  };
  assert.equal(decide('CreateContainer', container(spec)), 'allow');
  assert.equal(
    decide('CreateContainer', container({ Process: { Capabilities: { Inheritable: ['CAP_BPF'] } } })),
    'listed-capabilities',
  );
  const disk = container({ Linux: { Devices: [{ Path: '/dev/vdb', Type: 'b' }] } });
  assert.equal(decide('CreateContainer', disk), 'listed-devices');
  const handed = container({}, { devices: [{ type: 'blk', containerPath: '/dev/vdb' }] });
  assert.equal(decide('CreateContainer', handed), 'listed-devices');
});

test('allows listed commands as a listed user only', async () => {
  const decide = await deciderOf('listed-commands');
  const listed = { Env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'], User: { UID: 1000, GID: 1000 } };
  const asked = (args: string[], more: object = {}): string =>
    decide('ExecProcess', exec(args, { ...listed, ...more }));
  assert.equal(asked(['/bin/healthcheck']), 'allow');
  assert.equal(asked(['/bin/healthcheck', '--deep']), 'allow');
  for (const args of [[], ['sh'], ['/bin/healthcheck', '--other'], ['/bin/healthcheck\n'], ['healthcheck']])
    assert.equal(asked(args), 'listed-commands', args.join(' '));
  assert.equal(asked(['/bin/healthcheck'], { Terminal: true }), 'listed-commands');
  assert.equal(asked(['/bin/healthcheck'], { User: {} }), 'listed-commands');
  assert.equal(asked(['/bin/healthcheck'], { Env: ['PATH=/tmp'] }), 'listed-command-privileges');
  assert.equal(decide('ExecProcess', create(ExecProcessRequestSchema)), 'listed-commands');
});

test('allows listed names and values of the environment only', async () => {
  const decide = await deciderOf('environment');
  assert.equal(decide('ExecProcess', exec(['a'], { Env: ['LANG=C.UTF-8', 'HOSTNAME=web-0'] })), 'allow');
  for (const name of ['LD_PRELOAD', '_JAVA_OPTIONS', 'PYTHONHOME', 'LANG', 'HOSTNAME', 'X_SERVICE_HOST'])
    assert.equal(decide('ExecProcess', exec(['a'], { Env: [`${name}=/x y`] })), 'listed-environment', name);
  const image = container({ Process: { Env: ['LD_PRELOAD=/x.so'] } });
  assert.equal(decide('CreateContainer', image), 'listed-environment');
});

test('allows storages of listed drivers only', async () => {
  const decide = await deciderOf('storage-drivers');
  assert.equal(decide('CreateContainer', container({}, { storages: [{ driver: 'local' }] })), 'allow');
  const disk = container({}, { storages: [{ driver: 'local' }, { driver: 'blk' }] });
  assert.equal(decide('CreateContainer', disk), 'listed-storage-drivers');
});

test('allows CopyFile below a path only, without links that lead out', async () => {
  const decide = await deciderOf('copy-file');
  const base = '/run/kata-containers/shared/containers';
  const copy = (path: string, fileMode = 0o100644, data = ''): Message =>
    create(CopyFileRequestSchema, { path, fileMode, data: Buffer.from(data) });
  assert.equal(decide('CopyFile', copy(`${base}/c1/resolv.conf`)), 'allow');
  assert.equal(decide('CopyFile', copy(`${base}/c1`, 0o40755)), 'allow');
  assert.equal(decide('CopyFile', copy(`${base}/c1/token`, 0o120777, '..data/token')), 'allow');
  for (const path of [
    '/etc/passwd',
    base,
    `${base}/`,
    `${base}/../x`,
    `${base}/c1/../../../x`,
    `${base}x/y`,
    '',
  ])
    assert.equal(decide('CopyFile', copy(path)), 'copy-below', path);
  for (const target of ['/etc/shadow', '../../x', 'a/../../x', '..'])
    assert.equal(decide('CopyFile', copy(`${base}/l`, 0o120777, target)), 'no-links-outside', target);
  assert.equal(decide('CopyFile', copy(`${base}/fifo`, 0o10644)), 'no-links-outside');
});

test('allows claimed images from a list', async () => {
  const decide = await deciderOf('claimed-images');
  const claiming = (image: string): RuleContext => ({
    ...context,
    container: { id: 'c1', state: 'none', claimed: { image, annotations: {} } },
  });
  const request = container({});
  for (const image of ['registry.example.com/shop/web:1', 'registry.k8s.io/pause:3.10'])
    assert.equal(decide('CreateContainer', request, claiming(image)), 'allow');
  for (const image of ['', 'docker.io/library/nginx', 'registry.k8s.io/pause:3.10.evil'])
    assert.equal(decide('CreateContainer', request, claiming(image)), 'listed-images', image);
});

test('denies new mounts into a running container', async () => {
  const decide = await deciderOf('no-new-mounts');
  const update = (storage: object): Message =>
    create(UpdateEphemeralMountsRequestSchema, { storages: [storage] });
  const there = {
    driver: 'ephemeral',
    fstype: 'tmpfs',
    source: 'tmpfs',
    mountPoint: '/run/kata-containers/sandbox/ephemeral/v',
  };
  assert.equal(decide('UpdateEphemeralMounts', update(there)), 'allow');
  assert.equal(decide('UpdateEphemeralMounts', update({ ...there, mountPoint: '/etc' })), 'resize-only');
  assert.equal(decide('UpdateEphemeralMounts', update({ ...there, driver: 'blk' })), 'resize-only');
  assert.equal(decide('CreateContainer', container({})), 'allow');
  const shared = container({}, { sharedMounts: [{ srcCtr: 'c1', dstCtr: 'c2' }] });
  assert.equal(decide('CreateContainer', shared), 'no-shared-mounts');
});

test('allows resource limits within bounds', async () => {
  const decide = await deciderOf('limits');
  const change = (resources: object): Message =>
    create(UpdateContainerRequestSchema, { containerId: 'c1', resources });
  assert.equal(decide('UpdateContainer', change({ Memory: { Limit: 1n << 30n } })), 'allow');
  assert.equal(decide('UpdateContainer', change({})), 'allow');
  for (const resources of [
    { Memory: { Limit: -1n } },
    { Memory: { Limit: (1n << 32n) + 1n } },
    { CPU: { Quota: 400_001n } },
    { Pids: { Limit: -1n } },
  ]) {
    assert.equal(decide('UpdateContainer', change(resources)), 'limits-at-change');
    const created = container({ Linux: { Resources: resources } });
    assert.equal(decide('CreateContainer', created), 'limits-at-creation');
  }
});

test('no file names an unknown method', () => {
  for (const name of readdirSync(directory)) {
    if (!name.endsWith('.toml')) continue;
    const text = readFileSync(new URL(name, directory), 'utf8');
    for (const [, word] of text.matchAll(/"([A-Z][a-z]\w+)"/g)) assert.ok(isMethodName(word ?? ''), word);
  }
});
