/** Throws unless a condition holds. */
export function expect(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}
