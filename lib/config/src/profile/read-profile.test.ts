import assert from 'node:assert/strict';
import { test } from 'node:test';
import { profiles, ruleNameOf } from '@kata-agent/catalogue/profiles';
import { fails, load, warnings } from '../loading.test.fixture.js';
import { profileName } from './profile-digest.js';

const profile = profiles.get('rs-shared-1') ?? assert.fail();
const reference = profileName(profile);

function document(more = '', values = 'host_name = "^web$"\npod_name = "^web$"\n', except = ''): string {
  return (
    `[api]\nallowed_endpoints = ["*"]\nprofile = "${reference}"\n${except}` +
    `[api.values]\n${values}[[api.values.container]]\nname = "app"\nargs = ["sleep", "1"]\n${more}`
  );
}

test('the digests of profiles change only with a new version of them', () => {
  // A released profile is never changed: add another one.
  assert.deepEqual([...profiles.values()].map(profileName), [
    'rs-shared-1@sha256:fc9b08414ce8db839a92f5c511cb8177050ec256abacb57a08ee8965314f6a37',
    'go-shared-1@sha256:fc0246adbe8a777dd21e6495b2b94893cb9d34bb6e6f34557d8b4f5abf7fe983',
    'confidential-1@sha256:2e640006daf633b1ed040c36fc856619a94043e7ef6ac948a021064fb8029382',
  ]);
});

test('the rules of the profile are in force, with the values of the document', async () => {
  const loaded = await load(document());
  const rules = loaded.api.documents[0]?.rules ?? [];
  assert.deepEqual(
    rules.map(({ name }) => name),
    profile.rules.map(ruleNameOf),
  );
  assert.ok(rules.every(({ profile: of, span }) => of?.name === 'rs-shared-1' && span.line === 3));
  const [values, ...others] = new Set(rules.map((rule) => rule.profile?.values));
  assert.equal(others.length, 0);
  assert.equal(values?.value['host_name'], '^web$');
  assert.ok(values !== undefined);
  const [app] = values.value['container'] as readonly Record<string, unknown>[];
  assert.deepEqual([app?.['args'], app?.['cwd'], app?.['terminal']], [['sleep', '1'], '/', false]);
  assert.ok(Object.isFrozen(values?.value) && Object.isFrozen(app) && Object.isFrozen(app?.['args']));
  // Rules of the profile for methods that are not served are no mistake.
  assert.ok(warnings(loaded).every((warning) => !warning.includes('has no effect')));
});

test('a rule can be left out, and the document can have its own in its place', async () => {
  const own =
    '[[api.rule]]\nname = "create-container-devices"\nendpoints = ["CreateContainer"]\nexpression = "true"\n';
  assert.match(
    await fails(document(own)),
    /KA1107.*the profile has a rule with the name "create-container-devices"/,
  );
  const except = 'profile_except = ["create-container-devices", "create-sandbox-processes"]\n';
  const { api } = await load(document(own, undefined, except));
  const rules = api.documents[0]?.rules ?? [];
  assert.equal(rules.length, profile.rules.length - 1);
  // In the place of the profile's, so that the same rule is named in a reason.
  const place = profile.rules.map(ruleNameOf).filter((name) => !name.endsWith('sandbox-processes'));
  const at = place.indexOf('create-container-devices');
  assert.deepEqual([rules[at]?.name, rules[at]?.profile], ['create-container-devices', undefined]);
});

for (const [name, text, message] of [
  [
    'an unknown profile',
    document().replace('rs-shared-1@', 'rs-shared-0@'),
    /KA1316.*no profile "rs-shared-0"/,
  ],
  ['another digest', document().replace(/[0-9a-f]{64}/, '0'.repeat(64)), /KA1316.*has the digest sha256:/],
  ['no digest', document().replace(/@sha256:[0-9a-f]{64}/, ''), /KA1102.*profile must be NAME@sha256:/],
  ['values without a profile', document().replace(/^profile = .*\n/m, ''), /KA1108.*values has no effect/],
  [
    'an unknown value',
    document('argz = []\n'),
    /KA1101.*unknown key "argz" in api\.values\.container.*\n.*\n.*\nhelp: did you mean "args"\?/,
  ],
  ['a missing value', document('', 'pod_name = "^web$"\n'), /KA1104.*api\.values has no host_name/],
  [
    'a value of another type',
    document('terminal = "yes"\n'),
    /KA1102.*api\.values\.container\.terminal must be true or false/,
  ],
  [
    'an entry of another type',
    document('env = [1]\n'),
    /KA1102.*api\.values\.container\.env must be a text, not the integer 1/,
  ],
  [
    'two containers of one name',
    document('[[api.values.container]]\nname = "app"\n'),
    /KA1107.*api\.values\.container has "app" twice/,
  ],
  [
    'two mounts at one place',
    document('mounts = [{ to = "/a", name = "x" }, { to = "/a", name = "y" }]\n'),
    /KA1107.*api\.values\.container\.mounts has "\/a" twice/,
  ],
  [
    'an unknown rule',
    document('', undefined, 'profile_except = ["create-container-device"]\n'),
    /KA1101.*has no rule "create-container-device"/,
  ],
] as const)
  test(`a document with ${name} does not load`, async () => {
    assert.match(await fails(text), message);
  });

test('a pattern is checked when the document is loaded', async () => {
  const rules = async () => ({
    check: () => ({ faults: [], needsGuest: [] }),
    patternFault: (pattern: string) => (pattern === '^(web$' ? 'missing closing )' : undefined),
  });
  const text = document('', 'host_name = "^(web$"\npod_name = "^web$"\n');
  assert.match(await fails(text, { rules }), /^\/c\.toml:5:13: error\[KA1308\]: missing closing \)/);
});
