/** A valid configuration that cannot be applied on this machine: an address, a file, a device (exit code 3). */
export class CannotApply extends Error {
  override readonly name = 'CannotApply';
  /** What to do about it, if the message does not say so. */
  readonly help: string | undefined;

  constructor(message: string, { cause, help }: { readonly cause?: unknown; readonly help?: string } = {}) {
    super(message, { cause });
    this.help = help;
  }
}
