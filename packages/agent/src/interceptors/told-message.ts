/** Characters of an error's message that a caller is told. */
const longest = 1_500;

/**
 * An error's message as it goes to a caller, and from there into logs: values of the request are quoted in it, and may
 * be as long as a frame. Control characters but the end of a line are written as escapes.
 */
export function toldMessage(message: string): string {
  const cut = message.length > longest ? `${message.slice(0, longest)}…` : message;
  return cut.replace(
    /[^\P{Cc}\n]/gu,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
