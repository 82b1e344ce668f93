import assert from 'node:assert/strict';
import { test } from 'node:test';
import { consistency, membersOf } from '@kata-agent/catalogue';
import { dropIns, fails, load, warnings } from '../loading.test.fixture.js';

function allowing(names: readonly string[], more = ''): string {
  return `[api]\n${more}allowed_endpoints = ${JSON.stringify(names)}\n`;
}

for (const { id, when, needs } of consistency) {
  test(`${id} is a warning at start, and an error under strict and in a check`, async () => {
    const all = [...membersOf('@pod', undefined), ...membersOf('*', undefined)];
    const text = allowing(all.filter((name) => !needs.includes(name)));
    const message = new RegExp(`${when[0]}.* is served without .*${needs[0]}`);
    assert.match(warnings(await load(text)).join('\n'), message);
    assert.match(await fails(text, { offline: { later: [], sense: 'error' } }), message);
    assert.match(await fails(text.replace('[api]\n', '[api]\nstrict = true\n')), message);
    assert.doesNotMatch(warnings(await load(allowing(all))).join('\n'), message);
  });
}

test('a method left out of a build counts as not served', async () => {
  const text = allowing(['@exec', '@pod']);
  const handlers = new Set(membersOf('*', undefined).filter((name) => name !== 'WaitProcess'));
  assert.match(
    warnings(await load(text, { handlers })).join('\n'),
    /ExecProcess.* is served without .*WaitProcess/,
  );
});

test('strict in one document applies to all: groups in the base need a release', async () => {
  const base = `${allowing(['*'])}[delivery]\naccept = ["drop_ins"]\n`;
  const strict = dropIns({ d: '[api]\nstrict = true\nrelease = "3.21"\n' });
  assert.match(
    await fails(base, { delivery: [strict] }),
    /^\/c\.toml:2:22: error\[KA1208\]: under strict, "\*" needs a release: it can include more methods later\n/,
  );
  const pinned = base.replace('[api]\n', '[api]\nrelease = "3.21"\n');
  assert.equal((await load(pinned, { delivery: [strict] })).api.strict, true);
});

test('under strict, lists of a listener need a release too, and a release must be known', async () => {
  const listener =
    '[[listener]]\nname = "host"\naddress = "vsock://-1:1"\nblocked_endpoints = ["ExecProcess"]\n';
  assert.match(
    await fails(`[api]\nstrict = true\n${listener}`),
    /:4:8: error\[KA1208\]: under strict, blocked_endpoints needs a release/,
  );
  assert.match(
    await fails(allowing(['@pod'], 'strict = true\nrelease = "3.99"\n')),
    /is not a release of Kata Containers/,
  );
});

test('a rule for a method that is not served is reported', async () => {
  const rule = '[[api.rule]]\nname = "r"\nendpoints = ["ExecProcess"]\nexpression = "true"\n';
  assert.deepEqual(warnings(await load(allowing(['@pod']) + rule)), [
    'rule "r" has no effect: none of its endpoints is served',
  ]);
  assert.doesNotMatch(warnings(await load(allowing(['@pod', 'ExecProcess']) + rule)).join('\n'), /no effect/);
});

test('a method with which the host decides what runs has a rule if another one has', async () => {
  const rule = (...methods: readonly string[]): string =>
    `[[api.rule]]\nname = "${methods.join('-').toLowerCase()}"\nendpoints = ${JSON.stringify(methods)}\nexpression = 'caller == caller'\n`;
  const all = allowing(['@pod', '@exec', '@copy']);
  assert.deepEqual(warnings(await load(all)), []);
  assert.deepEqual(warnings(await load(all + rule('RemoveContainer'))), []);
  const created = all + rule('CreateContainer');
  assert.deepEqual(warnings(await load(created)), [
    'no rule limits ExecProcess (which programs run in a container), CopyFile (which files containers have): the host decides',
  ]);
  assert.deepEqual(warnings(await load(created + rule('ExecProcess', 'CopyFile'))), []);
  const audit = rule('ExecProcess', 'CopyFile').replace('expression', 'enforcement = "audit"\nexpression');
  assert.equal(warnings(await load(created + audit)).length, 1);
  // A listener of the tenant's own service.
  const listener = (peers: string): string =>
    `[[listener]]\nname = "tenant"\naddress = "unix:///run/tenant.sock"\n${peers}allowed_endpoints = ["@exec"]\n`;
  const host = '[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\nallowed_endpoints = ["@pod"]\n';
  const two = (peers: string): string => `[api]\n${host}${listener(peers)}${rule('CreateContainer')}`;
  assert.deepEqual(warnings(await load(two('peers = ["uid:1000"]\n'))), []);
  assert.match(warnings(await load(two(''))).join('\n'), /no rule limits ExecProcess/);
});

test('a rule about images without one about mounts is reported', async () => {
  const rule = (expression: string): string =>
    `[[api.rule]]\nname = "r"\nendpoints = ["CreateContainer"]\nexpression = '${expression}'\n`;
  const images = allowing(['@pod']) + rule('container.claimed.image == "x"');
  assert.deepEqual(warnings(await load(images)), [
    'rule "r" is about images, and no rule is about mounts: the host can mount other files over those of the image',
  ]);
  const both = images + rule('mounts.size() == 0').replace('"r"', '"m"');
  assert.deepEqual(warnings(await load(both)), []);
  assert.deepEqual(warnings(await load(allowing(['@pod']) + rule('args.size() > 0'))), []);
});

test('documents that together serve nothing are reported', async () => {
  const base = `${allowing(['@pod'])}[delivery]\naccept = ["drop_ins"]\n`;
  const delivery = [dropIns({ d: allowing(['ExecProcess']) })];
  assert.deepEqual(warnings(await load(base, { delivery })), [
    'these lists leave nothing: NOTHING is served but Health',
  ]);
});

test('an entry of a listener that the list of [api] does not have is reported', async () => {
  const tenant = (names: readonly string[]): string =>
    `[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\n[[listener]]\nname = "tenant"\naddress = "unix:///run/t"\nallowed_endpoints = ${JSON.stringify(names)}\n`;
  const found = async (api: string, names: readonly string[]): Promise<readonly string[]> =>
    warnings(await load(api + tenant(names)));
  assert.deepEqual(await found(allowing(['@pod']), ['WaitProcess', '@exec', 'ReadStdout']), [
    '"@exec" has no effect: allowed_endpoints of [api] is a limit for the listener "tenant", too, and has none of its methods',
    '"ReadStdout" has no effect: allowed_endpoints of [api] is a limit for the listener "tenant", too, and has none of its methods',
  ]);
  // One method of a group is enough, and without a list in [api] there is no limit.
  assert.deepEqual(await found(allowing(['@pod']), ['@pod']), []);
  assert.deepEqual(await found(allowing(['@pod', 'ExecProcess']), ['@exec', 'WaitProcess']), []);
});
