/** Returns how a guest is named in records. */
export function guestText(id: string): string {
  return `guest ${id}`;
}
