/** Too many calls of Attest wait for their turn. */
export class TooManyAttestations extends Error {
  override readonly name = 'TooManyAttestations';
}
