import type { EntryKey } from '../document/entry-key.js';
import { resourceName } from '../value-types/resource-or-path.js';
import { containerName, sha256Text, variableName } from '../value-types/secret-place.js';
import { path } from '../value-types/text.js';

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
