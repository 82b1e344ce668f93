/** A note that is not signed as it must be. Nothing of it may be believed. */
export class NoteSignatureError extends Error {
  /** `missing`: no key that is known, and needed, has signed. `wrong`: a signature of a known key does not verify. */
  readonly fault: 'missing' | 'wrong';

  constructor(fault: 'missing' | 'wrong', message: string) {
    super(message);
    this.name = 'NoteSignatureError';
    this.fault = fault;
  }
}
