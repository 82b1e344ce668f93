/** The file of unmodified records from removed segments: `FILE.kept`. */
export function keptPath(file: string): string {
  return `${file}.kept`;
}

/** The file that replaces it once the `rotated` record that names it is on disk. */
export function nextKeptPath(file: string): string {
  return `${file}.kept.next`;
}
