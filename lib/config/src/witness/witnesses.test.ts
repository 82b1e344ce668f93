import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { test } from 'node:test';
import { LogSigner, WitnessSigner } from '@kata-agent/tlog';
import {
  checkDocument,
  type Configuration,
  loadConfiguration,
  namedPaths,
  renderDiagnostic,
} from '../index.js';
import { explainConfiguration } from '../explain/explain-configuration.js';
import { renderExplanation } from '../explain/render-explanation.js';

const keyOf = (byte: number): ReturnType<typeof createPrivateKey> =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, byte)]),
    format: 'der',
    type: 'pkcs8',
  });
const witness = (name: string, byte: number): string =>
  new WitnessSigner(name, keyOf(byte)).verifier.toString();
const [one, two] = [witness('realm.example/w1', 1), witness('other.example/w2', 2)];

const pem = '-----BEGIN CERTIFICATE-----\\nMAA=\\n-----END CERTIFICATE-----\\n';
const listeners = `
[[listener]]
name = "host"
address = "vsock://-1:1024"

[[listener]]
name = "realm"
address = "https://realm.example:8443/guests"
relay = "trusted"
tls = { server_ca = "${pem}" }
`;
const document = (audit: string, more = listeners): string =>
  `[api]\nallowed_endpoints = ["@pod"]\n${more}\n[audit]\n${audit}\n`;
const entry = (key: string, rest: string): string => `[[audit.witness]]\nkey = "${key}"\n${rest}\n`;

async function load(text: string, files: Readonly<Record<string, string>> = {}): Promise<Configuration> {
  const loaded = await loadConfiguration({
    flags: {},
    environment: {},
    builtIn: { name: 'config.toml', bytes: Buffer.from(text) },
    files: {
      read: (path) => {
        const found = files[path];
        return found === undefined
          ? { ok: false, missing: true, code: 'KA1603', message: 'missing', help: '' }
          : { ok: true, bytes: Buffer.from(found) };
      },
    },
    rules: () => Promise.reject(new Error('no rules')),
    delivery: [],
    hostData: () => ({ ok: false, message: '', help: '' }),
  });
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.diagnostics.map((each) => renderDiagnostic(each)).join('\n'));
  return loaded.configuration;
}

test('witnesses are asked through a listener that dials, or at an address of their own', async () => {
  const ca = pem.replaceAll('\\n', '\n');
  const text = document(
    `witness_quorum = 2\nrequired_within = "30s"\n${entry(one, 'via = "realm"')}${entry(two, 'via = "https://w.example/log"\nca = "/w.pem"')}`,
  );
  const configuration = await load(text, { '/w.pem': ca });
  const { witnesses, audit, files } = configuration;
  assert.deepEqual(witnesses, [
    { name: 'realm.example/w1', key: one, via: { kind: 'listener', name: 'realm' } },
    { name: 'other.example/w2', key: two, via: { kind: 'url', url: 'https://w.example/log', ca } },
  ]);
  assert.deepEqual([audit.witnessQuorum, audit.requiredWithin], [2, 30_000]);
  // Measured with the document.
  assert.deepEqual(
    files.map(({ key, file }) => [key, file]),
    [['audit.witness.other.example/w2.ca', '/w.pem']],
  );
  assert.deepEqual(
    namedPaths(Buffer.from(text)),
    files.map(({ key, file }) => ({ key, file })),
  );
  const explained = renderExplanation(explainConfiguration(configuration));
  assert.match(explained, /2 of 2 must cosign/);
  assert.match(
    explained,
    /w1, asked at https:\/\/realm\.example:8443\/guests as the listener "realm" dials it/,
  );
  assert.match(explained, /w2, asked at https:\/\/w\.example\/log\n/);
  assert.match(explained, /refused once a record of 30s is not covered/);
  assert.match(explained, /required_within = "30s"/);
});

test('"off" is the default of required_within', async () => {
  const configuration = await load(document(`required_within = "off"\n${entry(one, 'via = "realm"')}`));
  assert.equal(configuration.audit.requiredWithin, 'off');
  assert.match(renderExplanation(explainConfiguration(configuration)), /no call depends on them/);
});

const logKey = new LogSigner('realm.example/w1', keyOf(1)).verifier.toString();
const renamed = witness('again.example/w1', 1);

for (const [what, text, expectedText] of [
  [
    'an unknown listener',
    document(entry(one, 'via = "tenant"')),
    /config\.toml:\d+:7: .*there is no listener "tenant"[^]*these dial: "realm"/,
  ],
  ['a listener that does not dial', document(entry(one, 'via = "host"')), /"host" dials no server/],
  [
    'no listener that dials',
    document(entry(one, 'via = "realm"'), ''),
    /no listener "realm"[^]*add a \[\[listener\]\] with an https/,
  ],
  ['no ca at an address', document(entry(one, 'via = "https://w.example"')), /KA1407[^]*must have ca/],
  ['a ca beside a listener', document(entry(one, 'via = "realm"\nca = "/x"')), /ca has no effect/],
  ['an invalid ca', document(entry(one, 'via = "https://w.example"\nca = "-----BEGIN X-----"')), /KA1406/],
  ['http', document(entry(one, 'via = "http://w.example"')), /KA1102.*via must be the name of a listener/],
  ['a query', document(entry(one, 'via = "https://w.example/?a"')), /KA1102.*without user, query/],
  ['the key of a log', document(entry(logKey, 'via = "realm"')), /KA1102.*not a log's key, of type 0x01/],
  ['another key', document(entry('w1+00+AA', 'via = "realm"')), /KA1102.*key must be the key of a witness/],
  [
    'a key with another id',
    document(entry(one.replace(/\+[0-9a-f]{8}\+/, '+00000000+'), 'via = "realm"')),
    /copy the key.*the id of this name and key is/,
  ],
  ['no key', document('[[audit.witness]]\nvia = "realm"'), /KA1104.*has no key/],
  ['no via', document(entry(one, '')), /KA1104.*has no via/],
  ['one name twice', document(entry(one, 'via = "realm"').repeat(2)), /KA1107.*"realm.example\/w1" already/],
  [
    'one key under two names',
    document(entry(one, 'via = "realm"') + entry(renamed, 'via = "realm"')),
    /KA1407.*"realm.example\/w1" has this key already/,
  ],
  [
    'a quorum of more',
    document(`witness_quorum = 2\n${entry(one, 'via = "realm"')}`),
    /config\.toml:\d+:1: .*witness_quorum is 2, and there is 1 witness[^]*write at most 1/,
  ],
  ['a quorum of none', document('witness_quorum = 2'), /there is no witness[^]*add \[\[audit.witness\]\]/],
  ['a quorum of 0', document('witness_quorum = 0'), /KA1102/],
  ['required_within without a witness', document('required_within = "30s"'), /needs a witness/],
  [
    'required_within below the interval',
    document(`required_within = "19s"\n${entry(one, 'via = "realm"')}`),
    /less than twice checkpoint_every, which is "10s"[^]*write at least "20s"/,
  ],
  [
    'required_within at the witness',
    document(entry(one, 'via = "realm"\nrequired_within = "30s"')),
    /required_within is a key of \[audit\][^]*move required_within to \[audit\], above the first/,
  ],
  [
    'too much of it',
    document(`required_within = "2d"\n${entry(one, 'via = "realm"')}`),
    /must be "off", or a time/,
  ],
  [
    'one table',
    document(`[audit.witness]\nkey = "${one}"\nvia = "realm"`),
    /KA1103[^]*write \[\[audit\.witness\]\]/,
  ],
  [
    'too many',
    document(
      Array.from({ length: 17 }, (_, at) => entry(witness(`w${at}`, at + 1), 'via = "realm"')).join(''),
    ),
    /17 witnesses, and at most 16/,
  ],
] as const)
  test(`${what} is an error with its line and a remedy`, async () => {
    const { diagnostics, exitCode } = await checkDocument(Buffer.from(text), 'config.toml');
    assert.equal(exitCode, 1);
    const rendered = diagnostics.map((each) => renderDiagnostic(each)).join('\n');
    assert.match(rendered, expectedText);
    assert.match(rendered, /config\.toml:\d+:\d+: /);
    assert.match(rendered, /help: /);
  });

test('a further document has no witness', async () => {
  const { parseDocument } = await import('../parse/parse-document.js');
  const text = `[audit]\n${entry(one, 'via = "realm"')}`;
  const parsed = await parseDocument(Buffer.from(text), 'later.toml', {
    role: 'later',
    rules: () => Promise.reject(new Error('no rules')),
  });
  assert.ok(!parsed.ok);
  assert.match(parsed.diagnostics.map((each) => renderDiagnostic(each)).join(), /KA1709.*only in the base/);
});
