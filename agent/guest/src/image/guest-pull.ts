import { join } from 'node:path';
import { isOfSandbox } from '@kata-agent/catalogue/requested-root';
import type { CreateContainer, Storage } from '../request/actions.js';
import { GuestError } from '../guest-error.js';
import { quotedPath, quotedWord } from '../quoted.js';
import { guestPullDriver } from '../storage/drivers/storage-drivers.js';

/** Annotations with the name of a container's image. */
const nameKeys = ['io.kubernetes.cri.image-name', 'io.kubernetes.cri-o.ImageName'];

type Annotations = Readonly<Record<string, string>>;

/**
 * Returns the storage by which a request asks the guest to pull the root; undefined: there is none.
 *
 * @throws GuestError `invalid` or `refused` if the request is inconsistent
 */
export function pulledRootOf(
  { id, storages, spec }: Pick<CreateContainer, 'id' | 'storages' | 'spec'>,
  { kata }: { readonly kata: string },
): Storage | undefined {
  const [storage, another] = storages.filter(({ driver }) => driver === guestPullDriver);
  if (storage === undefined) return undefined;
  if (another !== undefined)
    throw new GuestError(
      'invalid',
      `two storages have the driver ${guestPullDriver}: a container has one root`,
    );
  const place = join(kata, id, 'rootfs');
  if (storage.mountPoint !== place)
    throw new GuestError(
      'refused',
      `mount point ${quotedPath(storage.mountPoint)} of ${guestPullDriver} is not ${place}`,
    );
  checkOneImage(storage, spec.annotations ?? {});
  return storage;
}

/** Returns the metadata that a request has for a pull; undefined: it has none, and its annotations decide. @throws GuestError `invalid` */
function pullMetadata({ driverOptions }: Pick<Storage, 'driverOptions'>): Annotations | undefined {
  const prefix = `${guestPullDriver}=`;
  const text = driverOptions.find((option) => option.startsWith(prefix))?.slice(prefix.length);
  if (text === undefined) return undefined;
  const metadata = metadataOf(text);
  if (metadata === undefined)
    throw new GuestError(
      'invalid',
      `storage driver ${guestPullDriver}: ${prefix} is not {"metadata":{…}} of texts`,
    );
  return metadata;
}

function metadataOf(text: string): Annotations | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (!(parsed instanceof Object) || !('metadata' in parsed)) return undefined;
  const { metadata } = parsed;
  if (!(metadata instanceof Object) || Array.isArray(metadata)) return undefined;
  const entries = Object.entries(metadata);
  return entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')
    ? Object.fromEntries(entries)
    : undefined;
}

/**
 * Refuses a request whose parts name different images: rules and records would have another than the one that runs.
 *
 * @throws GuestError `refused`
 */
function checkOneImage(storage: Storage, annotations: Annotations): void {
  const metadata = pullMetadata(storage) ?? annotations;
  if (isOfSandbox(metadata) !== isOfSandbox(annotations))
    throw new GuestError(
      'refused',
      `storage driver ${guestPullDriver}: its metadata and the annotations differ in whether the container is the sandbox's`,
    );
  if (isOfSandbox(annotations)) return;
  for (const [what, values] of [
    ['annotation', annotations],
    ['metadata', metadata],
  ] as const)
    for (const key of nameKeys) {
      const name = values[key];
      if (name !== undefined && name !== '' && name !== storage.source)
        throw new GuestError(
          'refused',
          `storage driver ${guestPullDriver} names the image ${quotedWord(storage.source)}, and the ${what} ${key} names ${quotedWord(name)}`,
        );
    }
}
