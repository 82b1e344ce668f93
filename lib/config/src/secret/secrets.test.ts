import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainConfiguration } from '../explain/explain-configuration.js';
import { renderExplanation } from '../explain/render-explanation.js';
import { dropIns, fails, load } from '../loading.test.fixture.js';

const pod = '[api]\nallowed_endpoints = ["@pod"]\n';
const digest = 'a'.repeat(64);
const secret = (...lines: readonly string[]): string => `[[secret]]\n${lines.join('\n')}\n`;
const [container, env, file] = ['container = "db"', 'env = "A"', 'file = "/k/a"'];
const resource = 'resource = "kbs:///default/key/1"';

test('a secret has a container, a place and a binding, and explain shows them', async () => {
  const configuration = await load(
    `${pod}${secret(container, env, resource)}${secret(container, file, `sha256 = "${digest}"`, resource)}`,
  );
  assert.deepEqual(configuration.secrets, [
    { container: 'db', place: { kind: 'env', name: 'A' }, resource: 'kbs:///default/key/1' },
    {
      container: 'db',
      place: { kind: 'file', path: '/k/a' },
      resource: 'kbs:///default/key/1',
      sha256: digest,
    },
  ]);
  const explained = renderExplanation(explainConfiguration(configuration));
  assert.match(
    explained,
    new RegExp(
      `unsealed only here\n  env A of db: kbs:///default/key/1\n  file /k/a of db: kbs:///default/key/1, sha256 ${digest}`,
    ),
  );
});

test('explain says that nothing, or everything, is unsealed', async () => {
  const explained = async (document: string | undefined): Promise<string> =>
    renderExplanation(explainConfiguration(await load(document)));
  assert.match(await explained(pod), /sealed secrets: none is unsealed/);
  assert.match(await explained(undefined), /sealed secrets: unsealed wherever the host puts them/);
});

for (const [what, text, message] of [
  ['no place', secret(container, resource), /KA1120[^]*no place/],
  ['two places', secret(container, env, file, resource), /KA1120[^]*has env and file/],
  ['no binding', secret(container, env), /KA1120[^]*does not say which secret/],
  ['no container', secret(env, resource), /KA1104[^]*no container/],
  ['an unknown key', secret(container, env, resource, 'key = 1'), /KA1101/],
  ['a single table', '[secret]\ncontainer = "db"\n', /KA1103[^]*\[\[secret\]\]/],
  ['a relative path', secret(container, 'file = "k/a"', resource), /KA1102[^]*absolute path/],
  ['a path with ..', secret(container, 'file = "/k/../a"', resource), /KA1102/],
  ['a name with =', secret(container, 'env = "A=b"', resource), /KA1102[^]*name of a variable/],
  ['another resource', secret(container, env, 'resource = "kbs:///a/b"'), /KA1102[^]*REPOSITORY/],
  ['a digest in upper case', secret(container, env, `sha256 = "${'A'.repeat(64)}"`), /KA1102[^]*lower case/],
  [
    'no data hub',
    `[agent]\nguest_components_procs = "attestation-agent"\n${secret(container, env, resource)}`,
    /KA1120[^]*would not be started/,
  ],
  [
    'an inner agent',
    `[agent]\nforward = "unix:///run/inner.sock"\n${secret(container, env, resource)}`,
    /KA1112[^]*\[\[secret\]\] has no effect with forward/,
  ],
] as const)
  test(`rejected: ${what}`, async () => {
    assert.match(await fails(`${text}${pod}`), message);
  });

test('a further document has no secrets', async () => {
  const base = `${pod}[delivery]\naccept = ["drop_ins"]\n`;
  const further = dropIns({ '/d/a.toml': secret(container, env, resource) });
  assert.match(
    await fails(base, { delivery: [further] }),
    /KA1709[^]*secrets are allowed only in the base document/,
  );
});
