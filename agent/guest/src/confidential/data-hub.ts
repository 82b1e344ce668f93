import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { parseSealed } from '@kata-agent/catalogue/sealed-secret';
import { mounts } from '@kata-agent/linux';
import type { DeviceNumber } from '../device/device-number.js';
import { GuestError } from '../guest-error.js';

const resource = /^kbs:\/\/\/[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+$/;

/** A request to mount a disk that is encrypted with a key which exists in the guest's memory only. */
export interface SecureMount {
  /** `MAJOR:MINOR`. */
  readonly device: string;
  /** Options of mkfs.ext4. */
  readonly makeOptions: string;
  /** Where it is mounted: an existing directory of the agent. */
  readonly mountPoint: string;
}

/**
 * The confidential data hub of the guest (docs/records/coco-facts.md). Failures are GuestErrors, whose messages have nothing of a secret.
 */
export interface DataHub {
  /** Returns the plain text of a sealed secret. */
  unsealSecret(sealed: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array>;
  secureMount(mount: SecureMount, signal: AbortSignal | undefined): Promise<void>;
}

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

/** A blank disk that the data hub encrypts and mounts. */
interface DiskToEncrypt {
  readonly number: DeviceNumber;
  /** Options of mkfs.ext4. */
  readonly makeOptions: string;
  /** An absolute path: an existing directory of the agent where nothing is mounted. */
  readonly mountPoint: string;
  /** What it is for, in messages. */
  readonly use: string;
}

/**
 * Mounts a blank disk through the data hub, which encrypts it with a key in the guest's memory (docs/records/coco-facts.md, "Secure storage").
 * Kata's agent does nothing without a data hub, and answers OK; here that is an error, since the data would be the host's.
 *
 * @throws GuestError `precondition`: there is no data hub, or it has mounted nothing
 */
export async function encryptDisk(
  { number, makeOptions, mountPoint, use }: DiskToEncrypt,
  dataHub: DataHub | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (dataHub === undefined)
    throw new GuestError(
      'precondition',
      `the disk for ${use} cannot be encrypted: this guest has no confidential data hub; help: add it to the image, and set guest_components_procs = "confidential-data-hub"`,
    );
  const device = `${number.major}:${number.minor}`;
  await dataHub.secureMount({ device, makeOptions, mountPoint }, signal);
  const place = resolve(mountPoint);
  if (mounts().filter(({ target }) => target === place).length !== 1)
    throw new GuestError(
      'precondition',
      `the confidential data hub has not mounted the encrypted disk for ${use}`,
    );
}
