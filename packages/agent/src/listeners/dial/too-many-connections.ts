/** There are as many connections of operators as the listener may have. */
export class TooManyConnections extends Error {
  constructor(limit: number) {
    super(
      `there are ${limit} connections of operators, or attempts to make one: the limit connections of the listener`,
    );
    this.name = 'TooManyConnections';
  }
}
