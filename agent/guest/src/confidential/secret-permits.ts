import { createHash } from 'node:crypto';
import { GuestError } from '../guest-error.js';
import { quotedPath } from '../quoted.js';
import { contains } from '../paths/clean-path.js';
import { isSealed, parseSealed, sealedPrefix } from '@kata-agent/catalogue/sealed-secret';

/** A place where a sealed secret is unsealed, as `[[secret]]` of the configuration has it. */
export interface PermittedSecret {
  /** The name of the container in the pod. */
  readonly container: string;
  readonly place:
    | { readonly kind: 'env'; readonly name: string }
    /** An absolute path in the container. */
    | { readonly kind: 'file'; readonly path: string };
  /** The resource that the sealed secret must name; absent: `sha256` alone decides. */
  readonly resource?: string;
  /** Of the sealed text, in lower-case hex. */
  readonly sha256?: string;
}

/**
 * Which text a place may have: reports whether it is unsealed there.
 *
 * @throws GuestError `refused`: the place may not have it.
 */
export type Permit = (text: Uint8Array, named: string) => boolean;

/** Where the sealed secrets of a container are unsealed. Elsewhere they stay text. */
export interface SecretPermits {
  /** Undefined: the variable stays as it is. */
  ofVariable(name: string): Permit | undefined;
  /**
   * The files of a mount that are unsealed, by their path below its destination; empty: the mount itself is the file. Undefined: all
   * that are sealed.
   */
  filesOf(destination: string): ReadonlyMap<string, Permit> | undefined;
}

/** Permits every text, and unseals those that are sealed. */
export const anySecret: Permit = (text) =>
  isSealed(Buffer.from(text.subarray(0, sealedPrefix.length)).toString('latin1'));

/** Of a guest without a configuration: as Kata's agent does. */
const everywhere: SecretPermits = { ofVariable: () => anySecret, filesOf: () => undefined };

/**
 * Returns where the secrets of one container are unsealed.
 *
 * @param secrets of the configuration; undefined: there is none.
 * @param container its name in the pod; empty: it has none, and no secret.
 * @param destinations of its mounts, clean and in their order: a file is in the last one that its path is below, which covers the others.
 */
export function secretPermits(
  secrets: readonly PermittedSecret[] | undefined,
  container: string,
  destinations: readonly string[],
): SecretPermits {
  if (secrets === undefined) return everywhere;
  const own = container === '' ? [] : secrets.filter((secret) => secret.container === container);
  return {
    ofVariable: (name) => permitOf(own.filter(({ place }) => place.kind === 'env' && place.name === name)),
    filesOf(destination) {
      const files = new Map<string, Permit>();
      for (const { place } of own) {
        if (place.kind !== 'file' || !contains(destination, place.path)) continue;
        const covering = destinations.findLast((each) => contains(each, place.path));
        if (covering !== undefined && covering !== destination) continue;
        const permit = permitOf(
          own.filter((other) => other.place.kind === 'file' && other.place.path === place.path),
        );
        if (permit !== undefined) files.set(place.path.slice(destination.length + 1), permit);
      }
      return files;
    },
  };
}

function permitOf(secrets: readonly PermittedSecret[]): Permit | undefined {
  if (secrets.length === 0) return undefined;
  return (text, named) => {
    const wanted = secrets.map(bindingOf).join(', or ');
    if (!anySecret(text, named))
      throw new GuestError(
        'refused',
        `${named} is not a sealed secret, and [[secret]] has ${wanted} there; help: seal its value, or remove [[secret]]`,
      );
    const sha256 = createHash('sha256').update(text).digest('hex');
    const parsed = parseSealed(Buffer.from(text).toString('latin1'));
    // A provider other than the key broker would take the name for one of its own.
    const resource =
      typeof parsed !== 'string' && parsed.type === 'vault' && parsed.provider === 'kbs'
        ? parsed.name
        : undefined;
    const fits = secrets.some(
      (secret) =>
        (secret.resource === undefined || secret.resource === resource) &&
        (secret.sha256 === undefined || secret.sha256 === sha256),
    );
    if (fits) return true;
    const found = resource === undefined ? describe(parsed) : `it names ${quotedPath(resource)}`;
    throw new GuestError(
      'refused',
      `${named} is a sealed secret that [[secret]] does not allow there: ${found}, its SHA-256 is ${sha256}, and ${wanted} is allowed; help: add [[secret]] with this resource or sha256`,
    );
  };
}

function bindingOf({ resource, sha256 }: PermittedSecret): string {
  return [
    ...(resource === undefined ? [] : [resource]),
    ...(sha256 === undefined ? [] : [`SHA-256 ${sha256}`]),
  ].join(' with ');
}

function describe(parsed: ReturnType<typeof parseSealed>): string {
  if (typeof parsed === 'string') return parsed;
  return parsed.type === 'envelope'
    ? 'it is an envelope, whose data no resource names'
    : 'its provider is not "kbs"';
}
