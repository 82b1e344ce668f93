import type { ImageSignatures, SignerIdentity } from '../image.js';
import { jsonSource, pemSource } from './sources.js';
import { listOf, tableOf } from './collections.js';
import { oneOf } from './scalars.js';
import { sha256Hex, text } from './text.js';
import { expected, read, type Reading, type ValueType } from './value-type.js';

// The agent parses each name again, by the rules of @kata-agent/puller, when it starts.

const host = String.raw`[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?`;

const name = '[a-z0-9]([a-z0-9._-]*[a-z0-9])?';

/** A host, with or without a port: `registry.example:5000`. */
export const hostName: ValueType<string> = named(
  'host',
  'a host in lower case, "registry.example"',
  `^${host}$`,
);

/** A registry, or a part of its repositories. */
export const repository: ValueType<string> = named(
  'registry or repository',
  'a registry or repository in lower case, "registry.example/mirror"',
  `^${host}(/${name})*$`,
);

/** A pattern of repositories. */
export const imagePattern: ValueType<string> = named(
  'pattern of repositories',
  'a pattern of repositories, "registry.example/team/*", "registry.example/**" or "**"',
  String.raw`^(\*\*|${host}(/(${name}|\*))*/(${name}|\*\*?))$`,
);

const example =
  '{ scope = "registry.example/**", keys = ["/etc/kata-agent/cosign.pub"], formats = ["bundle"] }';
const what = `a list of tables, [${example}]`;
const digestPattern = `^(?:sha256:${sha256Hex}|sha512:[0-9a-f]{128})$`;
const digest: ValueType<string> = text({
  name: 'digest of an image',
  pattern: digestPattern,
  what: '"sha256:" with 64 hexadecimal digits in lower case, or "sha512:" with 128',
  accept: (value) => new RegExp(digestPattern).test(value),
});
const identityExample =
  '{ issuer = "https://token.actions.githubusercontent.com", subject = "https://github.com/team/app/.github/workflows/release.yml@refs/heads/main" }';
// Both are compared byte by byte with what a CA has signed.
const exact = text({
  name: 'text',
  pattern: '^[\\x21-\\x7e]{1,2048}$',
  what: '1 to 2048 printable characters of ASCII without spaces; there are no patterns',
  accept: (value) => /^[\x21-\x7e]{1,2048}$/.test(value),
});
const identity = tableOf<SignerIdentity>(
  { issuer: { key: 'issuer', type: exact }, subject: { key: 'subject', type: exact } },
  identityExample,
  ({ issuer, subject }) =>
    issuer === undefined ? 'without issuer' : subject === undefined ? 'without subject' : undefined,
);
const whatIdentities = `a list of tables, [${identityExample}]`;
const identities: ValueType<readonly SignerIdentity[]> = {
  name: 'list of tables with issuer and subject',
  schema: { type: 'array', items: identity.schema },
  fromToml(value): Reading<readonly SignerIdentity[]> {
    if (value.kind !== 'array') return expected(whatIdentities);
    const signers: SignerIdentity[] = [];
    for (const item of value.items) {
      const reading = identity.fromToml(item);
      if (!reading.ok) return reading;
      const { issuer = '', subject = '' } = reading.value;
      signers.push({ issuer, subject });
    }
    return read(signers);
  },
  fromText: () => expected(whatIdentities),
  write: (signers) => `[${signers.map((signer) => identity.write(signer)).join(', ')}]`,
};

/** An entry as it is written: one of keys, trusted_root with identities, and digests. */
interface WrittenEntry extends Pick<ImageSignatures, 'scope' | 'digests'> {
  readonly keys?: readonly string[];
  readonly formats?: readonly string[];
  readonly trustedRoot?: string;
  readonly identities?: readonly SignerIdentity[];
}

const entry = tableOf<WrittenEntry>(
  {
    scope: { key: 'scope', type: imagePattern },
    keys: { key: 'keys', type: listOf(pemSource, 'list of paths, or PEM texts') },
    trustedRoot: { key: 'trusted_root', type: jsonSource },
    identities: { key: 'identities', type: identities },
    formats: {
      key: 'formats',
      type: listOf(oneOf(['bundle', 'simple-signing']), 'list of formats'),
    },
    digests: { key: 'digests', type: listOf(digest, 'list of digests') },
  },
  example,
  faultOfEntry,
);

function faultOfEntry({
  scope,
  keys = [],
  formats = [],
  trustedRoot,
  identities: signers = [],
  digests,
}: Partial<WrittenEntry>): string | undefined {
  if (scope === undefined) return 'without scope';
  const keyless = trustedRoot !== undefined || signers.length > 0;
  if (digests !== undefined) {
    if (keys.length > 0 || formats.length > 0 || keyless) return 'with digests and keys: write two entries';
    return digests.length === 0 ? 'without digests' : undefined;
  }
  if (keyless) {
    // Two entries are both demanded: to accept either is not possible.
    if (keys.length > 0) return 'with keys and trusted_root';
    if (trustedRoot === undefined) return 'with identities and without trusted_root';
    if (signers.length === 0) return 'with trusted_root and without identities';
  } else if (keys.length === 0) return 'without keys';
  return formats.length === 0 ? 'without formats' : undefined;
}

/** Which images need which signatures. */
export const imageSignatures: ValueType<readonly ImageSignatures[]> = {
  name: 'list of tables with scope, and keys, formats or trusted_root, identities, formats or digests',
  schema: { type: 'array', items: entry.schema },
  fromToml(value): Reading<readonly ImageSignatures[]> {
    if (value.kind !== 'array') return expected(what);
    const entries: ImageSignatures[] = [];
    for (const item of value.items) {
      const reading = entry.fromToml(item);
      if (!reading.ok) return reading;
      entries.push(entryOf(reading.value));
    }
    return read(entries);
  },
  fromText: () => expected(what),
  write: (entries) => `[${entries.map((each) => entry.write(writtenOf(each))).join(', ')}]`,
};

function entryOf({
  scope = '',
  keys = [],
  formats = [],
  trustedRoot,
  identities: signers = [],
  digests,
}: Partial<WrittenEntry>): ImageSignatures {
  return {
    scope,
    keys,
    formats,
    ...(trustedRoot === undefined ? {} : { keyless: { trustedRoot, identities: signers } }),
    ...(digests === undefined ? {} : { digests }),
  };
}

function writtenOf({ scope, keys, formats, keyless, digests }: ImageSignatures): WrittenEntry {
  if (digests !== undefined) return { scope, digests };
  return keyless === undefined ? { scope, keys, formats } : { scope, ...keyless, formats };
}

function named(kind: string, what: string, pattern: string): ValueType<string> {
  const form = new RegExp(pattern);
  return text({
    name: kind,
    pattern,
    what,
    accept: (value) => form.test(value),
  });
}
