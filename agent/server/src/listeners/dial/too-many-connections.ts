/** As many connections of operators are being made as the listener may have. */
export class TooManyConnections extends Error {
  constructor(limit: number) {
    super(`${limit} connections of operators are being made: the limit connections of the listener`);
    this.name = 'TooManyConnections';
  }
}
