/** An identifier that nobody has checked, as it stands in a message: quoted, and not longer than a line. */
export function shortId(id: string): string {
  return JSON.stringify(id.slice(0, 150));
}
