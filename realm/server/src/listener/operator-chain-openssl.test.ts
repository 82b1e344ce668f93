import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  type AlternativeName,
  certificatePem,
  contextTag,
  der,
  encodeName,
  extendedKeyUsage,
  type Extension,
  integer,
  keyUsage,
  makeCertificate,
  type NameAttribute,
  octetString,
  Oid,
  sequence,
  subjectAltName,
} from '@kata-agent/x509';
import { verifyOperatorChain } from './operator-chain.js';

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';
const now = Date.now();

interface Signer {
  readonly name: Uint8Array;
  readonly keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  readonly bytes: Buffer;
}

const ec = (): Signer['keys'] => generateKeyPairSync('ec', { namedCurve: 'P-256' });

const nameOf = (...attributes: readonly (readonly [type: string, text: string])[]): Uint8Array =>
  encodeName(attributes.map(([type, text]): readonly NameAttribute[] => [{ type, text }]));

function signed(
  name: Uint8Array,
  by: Signer | undefined,
  extensions: readonly Extension[],
  keys: Signer['keys'] = ec(),
): Signer {
  const content = {
    issuer: by?.name ?? name,
    subject: name,
    notBefore: Date.UTC(2020, 0),
    notAfter: Date.UTC(2040, 0),
    publicKey: keys.publicKey,
    extensions,
  };
  return { name, keys, bytes: Buffer.from(makeCertificate(content, by?.keys.privateKey ?? keys.privateKey)) };
}

const signs = keyUsage(0x06, 1);
/** A CA, with the most CAs below it if that is given. */
const ca = (max?: number): readonly Extension[] => [
  {
    oid: Oid.BasicConstraints,
    critical: true,
    value: sequence(
      Buffer.from('0101ff', 'hex'),
      ...(max === undefined ? [] : [integer(Uint8Array.of(max))]),
    ),
  },
  signs,
];

const tags = { email: 1, dns: 2, uri: 6, ip: 7 } as const;
const subtree = (kind: keyof typeof tags, value: string | Buffer): Uint8Array =>
  sequence(der(contextTag(tags[kind], 'primitive'), Buffer.from(value as string)));
const directory = (name: Uint8Array): Uint8Array => sequence(der(contextTag(4, 'constructed'), name));

function constrained(permitted: readonly Uint8Array[], excluded: readonly Uint8Array[] = []): Extension {
  const part = (number: number, trees: readonly Uint8Array[]): readonly Uint8Array[] =>
    trees.length === 0 ? [] : [der(contextTag(number, 'constructed'), ...trees)];
  return { oid: '2.5.29.30', critical: true, value: sequence(...part(0, permitted), ...part(1, excluded)) };
}

const client = extendedKeyUsage([Oid.ClientAuth]);
const root = signed(nameOf(['CN', 'root']), undefined, ca());
type Alternative = Pick<AlternativeName, 'kind' | 'value'>;
const leaf = (
  by: Signer,
  names: readonly Alternative[] = [],
  subject: Uint8Array = nameOf(['CN', 'alice']),
  more: readonly Extension[] = [],
): Signer => signed(subject, by, [client, ...(names.length === 0 ? [] : [subjectAltName(names)]), ...more]);
const between = (
  by: Signer,
  extensions: readonly Extension[],
  name = 'between',
  keys?: Signer['keys'],
): Signer => signed(nameOf(['CN', name]), by, extensions, keys);

/** One CA with constraints, and a client below it with names. */
function below(
  permitted: readonly Uint8Array[],
  excluded: readonly Uint8Array[],
  names: readonly Alternative[],
  subject?: Uint8Array,
): readonly Signer[] {
  const issuer = between(root, [...ca(), constrained(permitted, excluded)]);
  return [leaf(issuer, names, subject), issuer];
}

const uri = (value: string): Alternative => ({ kind: 'uri', value });
const dns = (value: string): Alternative => ({ kind: 'dns', value });
const email = (value: string): Alternative => ({ kind: 'email', value });
const ip = (value: string): Alternative => ({ kind: 'ip', value });
const org = nameOf(['O', 'Example']);
const inOrg = nameOf(['O', 'example '], ['CN', 'alice']);

/** What OpenSSL decides of a chain, and whether it should be accepted. */
const chains: readonly (readonly [what: string, accepted: boolean, chain: () => readonly Signer[]])[] = [
  ['a client of the root', true, () => [leaf(root)]],
  [
    'two CAs below each other',
    true,
    () => {
      const one = between(root, ca(), 'one');
      const two = between(one, ca(), 'two');
      return [leaf(two), two, one];
    },
  ],
  [
    'a CA below one that allows none',
    false,
    () => {
      const one = between(root, ca(0), 'one');
      const two = between(one, ca(), 'two');
      return [leaf(two), two, one];
    },
  ],
  [
    'a client below a CA that allows no CAs',
    true,
    () => {
      const one = between(root, ca(0), 'one');
      return [leaf(one), one];
    },
  ],
  [
    'three CAs where two are allowed',
    false,
    () => {
      const one = between(root, ca(1), 'one');
      const two = between(one, ca(), 'two');
      const three = between(two, ca(), 'three');
      return [leaf(three), three, two, one];
    },
  ],
  [
    'a CA that has issued itself for a new key, which does not count',
    true,
    () => {
      const keys = [ec(), ec()] as const;
      // OpenSSL tells CAs of one name apart by the identifiers of their keys.
      const ids = (own: number, issuer: number): readonly Extension[] => [
        { oid: '2.5.29.14', value: octetString(Buffer.of(own)) },
        { oid: '2.5.29.35', value: sequence(der(contextTag(0, 'primitive'), Buffer.of(issuer))) },
      ];
      const one = between(root, [...ca(0), ...ids(1, 9).slice(0, 1)], 'one', keys[0]);
      const renewed = between(one, [...ca(), ...ids(2, 1)], 'one', keys[1]);
      return [leaf(renewed), renewed, one];
    },
  ],
  [
    'a CA for servers only',
    false,
    () => {
      const one = between(root, [...ca(), extendedKeyUsage([Oid.ServerAuth])]);
      return [leaf(one), one];
    },
  ],
  [
    'a CA for clients',
    true,
    () => {
      const one = between(root, [...ca(), client]);
      return [leaf(one), one];
    },
  ],
  [
    'an unknown critical extension of a CA',
    false,
    () => {
      const one = between(root, [...ca(), { oid: '1.3.6.1.4.1.55555.7', critical: true, value: sequence() }]);
      return [leaf(one), one];
    },
  ],
  [
    'an unknown critical extension of the client',
    false,
    () => [leaf(root, [], undefined, [{ oid: '1.3.6.1.4.1.55555.7', critical: true, value: sequence() }])],
  ],
  [
    'a CA without keyCertSign',
    false,
    () => {
      const one = between(root, [...ca().slice(0, 1), keyUsage(0x80, 7)]);
      return [leaf(one), one];
    },
  ],
  [
    'a URI of a permitted host',
    true,
    () => below([subtree('uri', 'ops.example')], [], [uri('spiffe://ops.example/alice')]),
  ],
  [
    'a URI of another host',
    false,
    () => below([subtree('uri', 'ops.example')], [], [uri('spiffe://prod.example/alice')]),
  ],
  [
    'a URI of a host below',
    false,
    () => below([subtree('uri', 'ops.example')], [], [uri('spiffe://a.ops.example/x')]),
  ],
  [
    'a URI of a host below, with a dot',
    true,
    () => below([subtree('uri', '.example')], [], [uri('spiffe://ops.example/x')]),
  ],
  [
    'a URI of the host itself, with a dot',
    false,
    () => below([subtree('uri', '.example')], [], [uri('spiffe://example/x')]),
  ],
  [
    'an excluded URI',
    false,
    () => below([], [subtree('uri', 'prod.example')], [uri('spiffe://PROD.example/alice')]),
  ],
  [
    'one of two URIs excluded',
    false,
    () =>
      below([], [subtree('uri', 'p.example')], [uri('spiffe://o.example/a'), uri('spiffe://p.example/a')]),
  ],
  ['a URI without a host', false, () => below([subtree('uri', 'ops.example')], [], [uri('urn:ops:alice')])],
  ['a permitted DNS name', true, () => below([subtree('dns', 'example')], [], [dns('a.ops.example')])],
  ['a DNS name that ends alike', false, () => below([subtree('dns', 'example')], [], [dns('myexample')])],
  ['an excluded DNS name', false, () => below([], [subtree('dns', 'prod.example')], [dns('a.PROD.example')])],
  ['every DNS name excluded', false, () => below([], [subtree('dns', '')], [dns('a.example')])],
  [
    'a common name that is an excluded DNS name',
    false,
    () => below([], [subtree('dns', 'prod.example')], [], nameOf(['CN', 'a.prod.example'])),
  ],
  [
    'a common name beside a DNS name',
    true,
    () => below([], [subtree('dns', 'prod.example')], [dns('x.example')], nameOf(['CN', 'a.prod.example'])),
  ],
  [
    'a permitted mail domain',
    true,
    () => below([subtree('email', 'ops.example')], [], [email('a@OPS.example')]),
  ],
  [
    'another mail domain',
    false,
    () => below([subtree('email', 'ops.example')], [], [email('a@x.ops.example')]),
  ],
  [
    'a permitted address of mail',
    true,
    () => below([subtree('email', 'a@ops.example')], [], [email('a@ops.example')]),
  ],
  [
    'another address of mail',
    false,
    () => below([subtree('email', 'a@ops.example')], [], [email('b@ops.example')]),
  ],
  [
    'a permitted network',
    true,
    () => below([subtree('ip', Buffer.from([10, 1, 0, 0, 255, 255, 0, 0]))], [], [ip('10.1.2.3')]),
  ],
  [
    'another network',
    false,
    () => below([subtree('ip', Buffer.from([10, 1, 0, 0, 255, 255, 0, 0]))], [], [ip('10.2.2.3')]),
  ],
  [
    'an excluded network',
    false,
    () => below([], [subtree('ip', Buffer.from([10, 1, 0, 0, 255, 255, 0, 0]))], [ip('10.1.2.3')]),
  ],
  ['a permitted subject', true, () => below([directory(org)], [], [], inOrg)],
  ['another subject', false, () => below([directory(org)], [], [], nameOf(['O', 'Other'], ['CN', 'alice']))],
  ['an excluded subject', false, () => below([], [directory(org)], [], inOrg)],
  [
    'names that the constraints do not mention',
    true,
    () => below([subtree('dns', 'example')], [], [uri('spiffe://x/y')]),
  ],
  [
    'constraints of a CA two above, and of the root',
    false,
    () => {
      const one = between(root, [...ca(), constrained([subtree('uri', 'ops.example')])], 'one');
      const two = between(one, ca(), 'two');
      return [leaf(two, [uri('spiffe://prod.example/x')]), two, one];
    },
  ],
];

const directoryPath = mkdtempSync(join(tmpdir(), 'kata-agent-chains-'));
after(() => rmSync(directoryPath, { recursive: true }));

function opensslAccepts(chain: readonly Signer[]): boolean {
  const [own, ...others] = chain.map(({ bytes }) => certificatePem(bytes));
  const file = (name: string, text: string): string => {
    const path = join(directoryPath, name);
    writeFileSync(path, text);
    return path;
  };
  const args = [
    'verify',
    '-purpose',
    'sslclient',
    '-auth_level',
    '2',
    '-no-CApath',
    '-no-CAstore',
    '-CAfile',
    file('root.pem', certificatePem(root.bytes)),
    ...(others.length === 0 ? [] : ['-untrusted', file('others.pem', others.join(''))]),
    file('own.pem', own ?? ''),
  ];
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  assert.ok(status === 0 || status === 2, stderr);
  return status === 0;
}

describe('a replica verifies the chain of an operator as OpenSSL does', { skip }, () => {
  for (const [what, accepted, chain] of chains)
    it(`${accepted ? 'accepted' : 'refused'}: ${what}`, () => {
      const made = chain();
      assert.equal(opensslAccepts(made), accepted, 'openssl verify');
      const result = verifyOperatorChain(
        made.map(({ bytes }) => bytes),
        { ca: [certificatePem(root.bytes)], crl: [], revokes: () => false },
        now,
      );
      assert.equal(typeof result === 'string' ? result : 'ok', accepted ? 'ok' : result);
      assert.equal(typeof result !== 'string', accepted);
    });
});
