/** Why an archive is refused. */
export type TarErrorCode =
  /** A damaged or contradictory header. */
  | 'header'
  /** The archive ends inside an entry. */
  | 'truncated'
  /** Bytes follow its end marker. */
  | 'trailing'
  /** Sparse files, archives of several volumes, and headers that change how later entries are read. */
  | 'unsupported'
  /** A header that is larger than the reader's limit. */
  | 'limit';

/** An archive that is not read. The code is stable. */
export class TarError extends Error {
  override readonly name = 'TarError';
  readonly code: TarErrorCode;

  constructor(code: TarErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
