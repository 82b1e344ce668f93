import type { SecretSettings } from '../secret/secret.js';

/** Renders where sealed secrets are unsealed; `isConfigured` false: there is no document. */
export function renderSecrets(secrets: readonly SecretSettings[], isConfigured: boolean): string {
  if (!isConfigured) return "sealed secrets: unsealed wherever the host puts them, as with Kata's agent";
  if (secrets.length === 0) return 'sealed secrets: none is unsealed';
  return [
    'sealed secrets: unsealed only here',
    ...secrets.map((secret) => `  ${describePlace(secret)}: ${describeBinding(secret)}`),
  ].join('\n');
}

/** Describes a place: `env DB_PASSWORD of db`. */
export function describePlace({ container, place }: SecretSettings): string {
  return place.kind === 'env' ? `env ${place.name} of ${container}` : `file ${place.path} of ${container}`;
}

/** Describes which secrets a place may have. */
export function describeBinding({ resource, sha256 }: SecretSettings): string {
  return [
    ...(resource === undefined ? [] : [resource]),
    ...(sha256 === undefined ? [] : [`sha256 ${sha256}`]),
  ].join(', ');
}
