/** A record or a tree cannot be proved; the message says why. */
export class CannotProve extends Error {
  override readonly name: string = 'CannotProve';
}
