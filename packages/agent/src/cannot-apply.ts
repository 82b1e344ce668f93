/** The configuration is right but cannot be applied on this machine: an address, a file, a device (exit code 3). */
export class CannotApply extends Error {
  override readonly name = 'CannotApply';
}
