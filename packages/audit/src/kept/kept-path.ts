/** Records of removed segments, as they were: `FILE.kept`. */
export function keptPath(file: string): string {
  return `${file}.kept`;
}

/** The one that takes its place when the `rotated` record that names it is on the disk. */
export function nextKeptPath(file: string): string {
  return `${file}.kept.next`;
}
