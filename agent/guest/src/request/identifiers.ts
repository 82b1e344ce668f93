import { GuestError } from '../guest-error.js';
import { quotedName } from '../quoted.js';

/** S8: ASCII, begins with a letter or digit, at most 128 characters. Such a name is also a safe file name. */
const identifier = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
const hostname = /^[A-Za-z0-9_.-]{0,255}$/;

/** Names of Kata's own directories next to the bundles; a container of that name would share them. */
const reserved: ReadonlySet<string> = new Set(['sandbox', 'shared', 'image', 'virtual-volumes']);

export function checkContainerId(id: string): void {
  if (!identifier.test(id)) throw unusable('container id', id);
  if (reserved.has(id)) {
    throw new GuestError(
      'invalid',
      `container id ${JSON.stringify(id)} is reserved: Kata has a directory of that name`,
    );
  }
}

export function checkExecId(id: string): void {
  if (!identifier.test(id)) throw unusable('exec id', id);
}

/** Checks a hostname, which may be empty. */
export function checkHostname(name: string): void {
  if (!hostname.test(name)) {
    throw new GuestError('invalid', `hostname ${quotedName(name)} must be at most 255 of A-Z a-z 0-9 _ . -`);
  }
}

function unusable(what: string, id: string): GuestError {
  return new GuestError(
    'invalid',
    `${what} ${quotedName(id)} must be 1 to 128 of A-Z a-z 0-9 _ . - and begin with a letter or digit`,
  );
}
