import { createHash } from 'node:crypto';
import { parseSealed } from '@kata-agent/catalogue/sealed-secret';
import type { DataHub } from './data-hub.js';

/** Called with the name of a sealed secret before the data hub is asked for its plain text. */
type NoteSecret = (name: string) => void;

/** Returns a data hub that says which sealed secrets it is asked for: also those that it then does not get. */
export function notingHub(hub: DataHub, note: NoteSecret): DataHub {
  return {
    unsealSecret(sealed, signal) {
      note(nameOf(sealed));
      return hub.unsealSecret(sealed, signal);
    },
    secureMount: (mount, signal) => hub.secureMount(mount, signal),
  };
}

const resource = /^kbs:\/\/\/[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+$/;

/** Returns the resource of a key broker that a sealed secret names, otherwise the hash of its text: that is the host's, and goes into logs. */
function nameOf(sealed: Uint8Array): string {
  const parsed = parseSealed(Buffer.from(sealed).toString('latin1'));
  return typeof parsed !== 'string' &&
    parsed.type === 'vault' &&
    parsed.provider === 'kbs' &&
    resource.test(parsed.name)
    ? parsed.name
    : `sha256:${createHash('sha256').update(sealed).digest('hex')}`;
}
