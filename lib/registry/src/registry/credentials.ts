import { JsonFields } from '@kata-agent/base';
import { ImageError, quoted } from '../errors/image-error.js';
import { type ImageReference, isRegistry, isRepository, repositoryName } from '../reference/reference.js';

/** User and password for a registry, or for a part of its repositories. */
export interface Credential {
  /** `registry.example`, or `registry.example/team`. */
  readonly scope: string;
  readonly user: string;
  readonly password: string;
}

/** Docker's name of its registry, in its configuration and for credential helpers. */
export const dockerHubServer = 'https://index.docker.io/v1/';

const maxCredentials = 100;
const invalid = (text: string): ImageError => new ImageError('settings-invalid', text);

/**
 * Parses credentials as containers-auth.json(5) and Docker's config.json have them: `{"auths": {SCOPE: {"auth": BASE64}}}`. Credential
 * helpers and identity tokens are errors: no program runs for them, and a pull must not be anonymous instead. No message has
 * a secret. Throws an ImageError.
 */
export function parseCredentials(bytes: Uint8Array): readonly Credential[] {
  const document = JsonFields.parse(bytes, 'credentials', invalid);
  const other = document.names().find((name) => ['credHelpers', 'credsStore'].includes(name));
  if (other !== undefined) throw invalid(`credentials.${other} is not supported: only auths`);
  const auths = document.object('auths');
  const names = auths.names();
  if (names.length > maxCredentials)
    throw invalid(`credentials.auths has more than ${maxCredentials} entries`);
  return names.map((name) => credentialOf(scopeOf(name), auths.object(name)));
}

/** Returns the credential with the longest scope that has the image. */
export function credentialFor(
  reference: ImageReference,
  credentials: readonly Credential[],
): Credential | undefined {
  const name = repositoryName(reference);
  return credentials
    .filter(({ scope }) => name === scope || name.startsWith(`${scope}/`))
    .sort((a, b) => b.scope.length - a.scope.length)[0];
}

function scopeOf(name: string): string {
  const scope = name === dockerHubServer ? 'docker.io' : name;
  const [host = '', ...path] = scope.split('/');
  if (!isRegistry(host) || (path.length > 0 && !isRepository(path.join('/'))))
    throw invalid(`credentials.auths has the name ${quoted(name)}, which is not a registry or repository`);
  return [host.toLowerCase(), ...path].join('/');
}

function credentialOf(scope: string, entry: JsonFields): Credential {
  const text = Buffer.from(entry.base64('auth')).toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1 || /[\0-\x1f\x7f]/.test(text))
    throw invalid(`credentials.auths of ${scope} is not base64 of USER:PASSWORD`);
  return { scope, user: text.slice(0, colon), password: text.slice(colon + 1) };
}
