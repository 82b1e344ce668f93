import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderDiagnostic } from '@kata-agent/config';
import { parseAuthorization } from './parse-authorization.js';

const digest = `sha256:${'1'.repeat(64)}`;
const key = `spki:sha256:${'A'.repeat(64)}`;

const valid = `version = 1

[[guest]]
name = "web"
configurations = ["${digest}"]
keys = ["${key}"]

[[guest]]
name = "batch"
configurations = ["*"]
max = 3

[[operator]]
peers = ["uri:spiffe://example/ops/*"]
guests = ["web", "batch-*"]
verbs = ["list", "connect", "audit", "revoke"]
methods = ["@exec", "@stdio", "Describe"]
release = "3.21"
`;

function errorsOf(text: string): readonly string[] {
  const parsed = parseAuthorization(Buffer.from(text), 'realm.toml');
  return parsed.ok ? [] : parsed.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic));
}

test('an entry can demand evidence, also where guests without can be accepted', () => {
  const text = `[[guest]]\nname = "web"\nconfigurations = ["${digest}"]\nattested = true\n[[guest]]\nname = "rest"\nconfigurations = ["*"]\n`;
  const parsed = parseAuthorization(Buffer.from(text), 'realm.toml');
  assert.ok(parsed.ok, errorsOf(text).join('\n'));
  const nameOf = (attested: boolean): string => {
    const facts = { id: 'a'.repeat(64), configurationDigest: digest, attested };
    const acceptance = parsed.authorization.accept(facts, []);
    return acceptance.ok ? acceptance.name : acceptance.reason;
  };
  assert.equal(nameOf(true), 'web');
  assert.equal(nameOf(false), 'rest');
});

test('the file of docs/adr/realm.md is valid', () => {
  const parsed = parseAuthorization(Buffer.from(valid), 'realm.toml');
  assert.ok(parsed.ok, errorsOf(valid).join('\n'));
  assert.match(parsed.authorization.sha256, /^[0-9a-f]{64}$/);
  assert.deepEqual(parsed.warnings, []);
  const id = 'a'.repeat(64);
  const facts = { id, configurationDigest: digest, attested: false };
  const web = { id: 'b'.repeat(64), name: 'web', entry: 'web' };
  assert.deepEqual(parsed.authorization.accept(facts, []), {
    ok: true,
    name: 'web',
    entry: 'web',
    max: 1,
    isPinned: true,
  });
  assert.match(
    JSON.stringify(parsed.authorization.accept(facts, [web])),
    /max = 1, and as many are connected/,
  );
  // The same key is the same guest.
  assert.ok(parsed.authorization.accept(facts, [{ ...web, id }]).ok);
  const other = { id: 'b'.repeat(64), configurationDigest: digest, attested: false };
  assert.deepEqual(parsed.authorization.accept(other, [web]), {
    ok: true,
    name: `batch-${'b'.repeat(12)}`,
    entry: 'batch',
    max: 3,
  });
  const duplicate = {
    id: `${'b'.repeat(12)}${'c'.repeat(52)}`,
    configurationDigest: undefined,
    attested: false,
  };
  assert.match(
    JSON.stringify(
      parsed.authorization.accept(duplicate, [
        { id: other.id, name: `batch-${'b'.repeat(12)}`, entry: 'batch' },
      ]),
    ),
    /a connected guest has the name/,
  );
});

test('an empty file accepts nobody', () => {
  const parsed = parseAuthorization(Buffer.from(''), 'realm.toml');
  assert.ok(parsed.ok);
  assert.ok(
    !parsed.authorization.accept({ id: 'a'.repeat(64), configurationDigest: digest, attested: false }, []).ok,
  );
});

test('all errors are reported at once, each with its place, a caret and help', () => {
  const errors = errorsOf(`verson = 1
[[guest]]
name = "web"
configuration = ["${digest}"]
[[operator]]
peers = ["uri:spiffe://example/*/x"]
guests = ["web"]
verbs = ["connect"]
methods = ["ExecProces"]
`);
  assert.equal(errors.length, 5, errors.join('\n\n'));
  assert.equal(
    errors[4],
    `realm.toml:9:12: error[KA1201]: unknown endpoint "ExecProces" in methods
  methods = ["ExecProces"]
             ^^^^^^^^^^^^
help: did you mean "ExecProcess"?`,
  );
});

test('a name that no guest with a trusted relay accepts is valid without methods, and up to the limit', () => {
  const longest = `cn:${'a'.repeat(253)}`;
  for (const text of [
    operator('peers = ["cn:Zoë"]'),
    trusted(longest),
    trusted('uri:spiffe://example/ops/*'),
  ])
    assert.deepEqual(errorsOf(text), []);
  assert.equal(errorsOf(trusted(`${longest}a`)).length, 1);
});

const operator = (change: string): string =>
  `[[operator]]\n${Object.entries({
    peers: '["cn:a"]',
    guests: '["web"]',
    verbs: '["connect"]',
    ...(Object.fromEntries([change.split(' = ')]) as Record<string, string>),
  })
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')}`;
const trusted = (peer: string): string => `${operator(`peers = ["${peer}"]`)}methods = ["ExecProcess"]\n`;
const guest = (rest: string): string => `[[guest]]\nname = "web"\n${rest}\n`;

for (const [text, expectedText] of [
  ['[guest]\nname = "web"', /KA1103.*must be a list of tables/],
  ['version = 2', /KA1106/],
  ['[[guests]]\nname = "x"', /unknown section "guests".*did you mean \[\[guest\]\]/s],
  [guest(''), /neither configurations nor keys/],
  [guest('configurations = []'), /not empty/],
  [guest(`configurations = ["*", "${digest}"]`), /or \["\*"\]/],
  [guest(`configurations = ["${digest.toUpperCase()}"]`), /config digest prints/],
  [guest(`configurations = "${digest}"`), /KA1102/],
  [guest('keys = ["spki:sha256:abc"]'), /KA1102/],
  [guest(`keys = ["${key}", "${key.toLowerCase().replace('spki', 'spki')}"]`), /each once/],
  [guest('configurations = ["*"]\nmax = 0'), /from 1 to 10000/],
  [guest('configurations = ["*"]\nmax = -1'), /from 1 to 10000/],
  [guest('configurations = ["*"]\nnames = ["x"]'), /unknown key "names"/],
  [`${guest('configurations = ["*"]')}${guest('configurations = ["*"]')}`, /KA1107/],
  ['[[guest]]\nname = "0123456789ab"\nconfigurations = ["*"]', /could be the begin of an ID/],
  [
    `${guest('configurations = ["*"]\nmax = 2')}[[guest]]\nname = "web-0123456789ab"\nconfigurations = ["*"]`,
    /a guest of \[\[guest\]\] "web" could have it/,
  ],
  ['[[guest]]\nname = "we/b"\nconfigurations = ["*"]', /KA1102/],
  [operator('peers = ["*", "cn:a"]'), /other entries have no effect/],
  [operator('peers = []'), /not empty/],
  [operator('peers = ["host"]'), /unknown type/],
  [operator('peers = ["cid:3"]'), /unknown type/],
  [operator('guests = ["*-web"]'), /at the end only/],
  [operator('guests = ["w*b"]'), /at the end only/],
  [operator('guests = ["**"]'), /at the end only/],
  [operator('guests = []'), /not empty/],
  [operator('verbs = ["exec"]'), /KA1102/],
  [operator('verbs = []'), /KA1102/],
  [operator('methods = ["@exec"]'), /KA1208.*needs release/],
  [operator('methods = ["*"]'), /KA1208.*needs release/],
  [operator('methods = ["exec*"]'), /patterns are not supported/],
  [operator('methods = ["@management"]'), /KA1201/],
  [operator('methods = ["describe"]'), /KA1201/],
  [operator('methods = [1]'), /KA1102/],
  [
    trusted('cn:Zoë'),
    /:2:10: error\[KA1102\]: the operator "cn:Zo.*" has characters that are not printable ASCII.*help: name it by spki/s,
  ],
  [trusted(`subject:CN=${'a'.repeat(250)}`), /KA1102.*has more than 256 characters/],
  [operator('release = "3.999"'), /KA1209/],
  [operator('release = 3.21'), /write it in quotes/],
  ['[[operator]]\npeers = ["cn:a"]\nguests = ["web"]\nverbs = ["list"]\nmethods = ["ExecProcess"]', /KA1108/],
  ['[[operator]]\nguests = ["web"]\nverbs = ["list"]', /KA1104.*no peers/],
  ['[[guest]', /KA10/],
  ['\ufeffversion = 1', /byte order mark/],
] as const)
  test(`refused: ${text.split('\n').slice(0, 5).join('; ').slice(0, 90)}`, () => {
    const errors = errorsOf(text);
    assert.ok(errors.length > 0, 'no error');
    assert.match(errors.join('\n'), expectedText);
  });
