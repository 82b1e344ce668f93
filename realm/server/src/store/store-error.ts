/** The store cannot be used, or a value that it is given is not valid; `help` is the remedy. */
export class StoreError extends Error {
  readonly help: string;

  constructor(message: string, help: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.name = 'StoreError';
    this.help = help;
  }
}
