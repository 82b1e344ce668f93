/** The configuration is valid but cannot be applied on this machine: an address, a file, a device (exit code 3). */
export class CannotApply extends Error {
  override readonly name = 'CannotApply';
  /** What to do about it, where the message does not say so itself. */
  readonly help: string | undefined;

  constructor(message: string, { cause, help }: { readonly cause?: unknown; readonly help?: string } = {}) {
    super(message, { cause });
    this.help = help;
  }
}
