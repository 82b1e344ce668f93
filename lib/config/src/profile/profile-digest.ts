import { createHash } from 'node:crypto';
import { type Profile, profiles } from '@kata-agent/catalogue/profiles';

/** A profile as a document names it: `rs-shared-1@sha256:…`. */
export const profileReference: RegExp = /^([a-z0-9][a-z0-9-]*)@sha256:([0-9a-f]{64})$/;

/** Returns the SHA-256 of all that a profile is, in lower-case hex. */
export function profileDigest(profile: Profile): string {
  const text = JSON.stringify(profile, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return createHash('sha256').update(text).digest('hex');
}

/** Returns how a document names a profile. */
export function profileName(profile: Profile): string {
  return `${profile.name}@sha256:${profileDigest(profile)}`;
}

/** What a reference names: a profile of this version, or why there is none. */
export type FoundProfile =
  | { readonly ok: true; readonly profile: Profile }
  | { readonly ok: false; readonly message: string; readonly help: string };

/** Finds the profile of a reference. One with another digest is another profile, whatever its name. */
export function findProfile(reference: string): FoundProfile {
  const [, name = '', digest] = profileReference.exec(reference) ?? [];
  const profile = profiles.get(name);
  if (profile === undefined)
    return {
      ok: false,
      message: `this version has no profile "${name}"`,
      help: `it has ${[...profiles.keys()].join(', ')}: generate the document again, or use the version it was generated for`,
    };
  const own = profileDigest(profile);
  if (digest === own) return { ok: true, profile };
  return {
    ok: false,
    message: `the profile "${name}" of this version has the digest sha256:${own}`,
    help: 'generate the document again, or use the version it was generated for',
  };
}
