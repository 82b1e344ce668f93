/** A text that does not have the form of a note, a checkpoint, a proof or a request. Nothing of it is used. */
export class TextFormError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TextFormError';
  }
}
