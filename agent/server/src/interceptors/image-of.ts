import type { CallResult } from '@kata-agent/audit';
import type { PulledImage } from '@kata-agent/guest';
import { type ContextKey, contextKey, type ContextValues } from '@kata-agent/ttrpc';

type RecordedImage = NonNullable<CallResult['image']>;

/** Set when the guest has got the root of a container itself, recorded with the result of the call. */
const imageKey: ContextKey<RecordedImage> = contextKey<RecordedImage>('image');

/**
 * Remembers the image of a call's container for its record, allowed or denied.
 *
 * @param image undefined: the pause container of the guest image.
 */
export function noteImage(values: ContextValues, image: PulledImage | undefined): void {
  if (image === undefined) return values.set(imageKey, { from: 'pause_bundle' });
  const { digest, manifestDigest, signatures } = image;
  values.set(imageKey, { from: 'pulled', digest, manifestDigest, signatures });
}

/** Returns the recorded form of the image of a call's container. */
export function imageOf(values: ContextValues): Pick<CallResult, 'image'> {
  const image = values.get(imageKey);
  return image === undefined ? {} : { image };
}
