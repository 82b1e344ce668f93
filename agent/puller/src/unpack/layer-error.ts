/** Why a layer is refused. The code is stable; the message names the entry. */
export type LayerErrorCode =
  /** Not the compression that the media type names, damaged, or followed by other bytes. */
  | 'compression'
  /** SHA-256 of the uncompressed bytes is not the one that the image's configuration names. */
  | 'diff-id'
  /** A damaged or contradictory header. */
  | 'header'
  /** The archive ends inside an entry, or does not end where its end marker is. */
  | 'truncated'
  | 'trailing'
  /** An entry that is valid in some tar format but not in a layer: sparse files, archives of several volumes. */
  | 'unsupported'
  | 'name'
  | 'parent'
  | 'device'
  | 'hard-link'
  | 'symbolic-link'
  | 'whiteout'
  | 'duplicate'
  | 'attribute'
  | 'owner'
  /** A size, depth, number or time above the limits. */
  | 'limit'
  /** The file system is full. */
  | 'space'
  /** A system call failed that should not fail. */
  | 'system'
  /** The process that unpacks ended, or answered what it should not. */
  | 'child';

/** A layer that is refused, or that could not be unpacked. What was written so far is for the caller to remove. */
export class LayerError extends Error {
  override readonly name = 'LayerError';
  readonly code: LayerErrorCode;

  constructor(code: LayerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Formats bytes of an archive for a message: quoted, without control characters, at most 200 characters. */
export function quoted(name: Uint8Array | string): string {
  const text = typeof name === 'string' ? name : Buffer.from(name).toString('utf8');
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
