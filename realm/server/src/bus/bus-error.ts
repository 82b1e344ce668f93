/** The bus cannot be used; `help` are remedies. */
export class BusError extends Error {
  readonly help: readonly string[];

  constructor(message: string, help: readonly string[]) {
    super(message);
    this.name = 'BusError';
    this.help = help;
  }
}
