import { GuestError } from '../guest-error.js';

/** S8: ASCII, begins with a letter or digit, at most 128 characters. Such a name is also a safe file name. */
const identifier = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
const hostname = /^[A-Za-z0-9_.-]{0,255}$/;

/** Names of Kata's own directories beside the bundles; a container of that name would share them. */
const reserved: ReadonlySet<string> = new Set(['sandbox', 'shared', 'image', 'virtual-volumes']);

export function checkContainerId(id: string): void {
  if (!identifier.test(id)) throw unusable('container id', id);
  if (reserved.has(id)) {
    throw new GuestError(
      'invalid',
      `container id ${JSON.stringify(id)} is the name of a directory of Kata's own`,
    );
  }
}

export function checkExecId(id: string): void {
  if (!identifier.test(id)) throw unusable('exec id', id);
}

/** Empty: no name of its own. */
export function checkHostname(name: string): void {
  if (!hostname.test(name)) {
    throw new GuestError(
      'invalid',
      `hostname ${JSON.stringify(name.slice(0, 300))} must be at most 255 of A-Z a-z 0-9 _ . -`,
    );
  }
}

function unusable(what: string, id: string): GuestError {
  return new GuestError(
    'invalid',
    `${what} ${JSON.stringify(id.slice(0, 150))} must be 1 to 128 of A-Z a-z 0-9 _ . - and begin with a letter or digit`,
  );
}
