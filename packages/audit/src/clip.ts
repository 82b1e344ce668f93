/** Cuts to `length`, the mark included. */
export function clip(text: string, length: number): string {
  if (text.length <= length) return text;
  // A slice keeps its parent alive, and the parent may have the size of a frame: copy.
  return Buffer.from(`${text.slice(0, length - 1)}…`, 'utf16le').toString('utf16le');
}
