import type { EntryKey } from '../document/entry-key.js';
import { resourceName } from '../value-types/sources.js';
import { path, sha256Hex, text } from '../value-types/text.js';
import { printable, type ValueType } from '../value-types/value-type.js';

const containerPattern = '^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$';

/** The name of a container in its pod. */
const containerName: ValueType<string> = text({
  name: 'name of a container',
  pattern: containerPattern,
  what: 'the name of a container in its pod, such as "db"',
  accept: (value) => new RegExp(containerPattern).test(value),
});

/** The name of a variable of the environment. */
const variableName: ValueType<string> = text({
  name: 'name of a variable',
  pattern: `^${printable('=')}+$`,
  what: 'the name of a variable, such as "DB_PASSWORD"',
  accept: (value) => /^[^=\p{Cc}]+$/u.test(value),
});

const sha256Pattern = `^${sha256Hex}$`;

/** A SHA-256 digest. */
const sha256Text: ValueType<string> = text({
  name: '64 hexadecimal digits',
  pattern: sha256Pattern,
  what: 'a SHA-256 digest, 64 hexadecimal digits in lower case',
  accept: (value) => new RegExp(sha256Pattern).test(value),
});

/** The keys of `[[secret]]` as written. */
export interface SecretKeys {
  readonly container: string;
  readonly env: string;
  readonly file: string;
  readonly resource: string;
  readonly sha256: string;
}

const common = { table: 'secret', later: false, built: 'yes' } as const;

/** The rows of `[[secret]]`. */
export const secretKeys: { readonly [P in keyof SecretKeys]: EntryKey<SecretKeys[P]> } = {
  container: {
    ...common,
    key: 'container',
    type: containerName,
    required: true,
    purpose:
      'The name of the container in the pod, as `container.claimed.name` of rules: the host claims it, and rules pin what a container of that name runs.',
    example: '"db"',
    otherwise: 'it is required',
  },
  env: {
    ...common,
    key: 'env',
    type: variableName,
    required: false,
    purpose: 'The variable in the environment of its first process whose value is unsealed.',
    example: '"DB_PASSWORD"',
    otherwise: 'file is required',
  },
  file: {
    ...common,
    key: 'file',
    type: path,
    required: false,
    purpose:
      'The file that is unsealed, by its path in the container: one of a volume that is mounted there, or a mount of its own (`subPath`).',
    example: '"/etc/keys/tls.key"',
    otherwise: 'env is required',
  },
  resource: {
    ...common,
    key: 'resource',
    type: resourceName,
    required: false,
    purpose:
      'The resource of the key broker that the sealed secret names. A sealed secret of type `envelope`, which has its data in itself, is bound by `sha256` alone.',
    example: '"kbs:///default/key/1"',
    otherwise: 'sha256 is required',
  },
  sha256: {
    ...common,
    key: 'sha256',
    type: sha256Text,
    required: false,
    purpose: 'SHA-256 of the sealed text, from `sealed.` to the end of its signature.',
    example: '"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
    otherwise: 'resource is required',
  },
};
