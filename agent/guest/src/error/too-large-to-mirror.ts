/** A source exceeds the limits up to which it is copied (storage/drivers/mirror-limits.ts). */
export class TooLargeToMirror extends Error {
  override readonly name = 'TooLargeToMirror';
}
