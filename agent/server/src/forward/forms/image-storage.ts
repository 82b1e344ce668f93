// The root of a container whose image the guest pulls.
import { kataDirectory } from '@kata-agent/catalogue';
import { isOfSandbox } from '@kata-agent/catalogue/requested-root';
import { malformed, quoted, refused } from './not-alike.js';
import { hasControl } from './values.js';
import { type StorageReading, type StorageParts, checkUnused, wrongPlace } from './storage-reading.js';

/** Source: Kata, kata_agent.go:1935-1997, virtual_volume.rs:103-143; image_pull_handler.rs:44-91. */
export function imageForm(reading: StorageReading): StorageParts {
  const { storage, at, container, annotations, storages } = reading;
  checkUnused(reading, 'driver_options');
  const { source, fstype, options, driverOptions, mountPoint } = storage;
  if (container === undefined) throw refused(at, 'only a container has an image');
  if (fstype !== 'overlay') throw refused(`${at}.fstype`, `${quoted(fstype)} is not "overlay"`);
  if (options.length > 0) throw refused(`${at}.options`, 'no runtime sets options of an image');
  if (mountPoint !== `${kataDirectory}/${container}/rootfs`)
    throw wrongPlace(reading, `${kataDirectory}/${container}/rootfs`);
  if (storages.filter(({ driver }) => driver === storage.driver).length > 1)
    throw malformed(at, 'a container has one image');
  if (source === '' || hasControl(source))
    throw malformed(`${at}.source`, `${quoted(source)} is not the name of an image`);
  const metadata = metadataOf(driverOptions, `${at}.driver_options`);
  checkOneImage(source, metadata, annotations, `${at}.driver_options`);
  return { source, fstype, options: [], driverOptions };
}

/** Annotations with the name of a container's image, which rules and records see. */
const imageNames = ['io.kubernetes.cri.image-name', 'io.kubernetes.cri-o.ImageName'];

/**
 * Kata's agent pulls the image of the source, takes the pause image by the metadata, and its process by the annotations
 * (confidential_data_hub/image.rs:132-167): they must be of one image.
 */
function checkOneImage(source: string, metadata: Texts, annotations: Texts, field: string): void {
  if (isOfSandbox(metadata) !== isOfSandbox(annotations))
    throw refused(
      field,
      'the metadata and the annotations disagree about whether this is the pause container',
      'send the annotations of the container as metadata',
    );
  if (isOfSandbox(annotations)) return;
  const named = [metadata, annotations].flatMap((texts) => imageNames.map((name) => texts[name] ?? ''));
  const other = named.find((name) => name !== '' && name !== source);
  if (other !== undefined)
    throw refused(
      field,
      `the source is the image ${quoted(source)}, and the container is named as one of ${quoted(other)}`,
    );
}

type Texts = Readonly<Record<string, string>>;

const pullOption = 'image_guest_pull=';

function metadataOf(driverOptions: readonly string[], field: string): Readonly<Record<string, string>> {
  const [option = '', ...rest] = driverOptions;
  if (rest.length > 0 || !option.startsWith(pullOption))
    throw malformed(field, `it must be one option, ${pullOption}{"metadata":{…}}`);
  const text = option.slice(pullOption.length);
  const metadata = textsIn(text);
  // Only the one text of a value is forwarded: a key that is given twice has two readings.
  const written = JSON.stringify({ metadata });
  if (metadata !== undefined && (text === written || text === asGoWrites(written))) return metadata;
  throw malformed(
    field,
    `${quoted(option)} is not ${pullOption}{"metadata":{…}} with texts, as the runtimes write it`,
  );
}

function textsIn(json: string): Readonly<Record<string, string>> | undefined {
  try {
    const parsed = JSON.parse(json) as { readonly metadata?: unknown } | null;
    const metadata = parsed?.metadata;
    if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return undefined;
    const isText = Object.values(metadata).every((each) => typeof each === 'string');
    return isText ? (metadata as Record<string, string>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Go's encoding/json escapes these for HTML. */
function asGoWrites(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
