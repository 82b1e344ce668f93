/** The maximum length of an error message in a reply. */
const longest = 1_500;

/**
 * Returns an error's message for a reply, from where it also gets into logs: it can quote values of the request, which
 * can be as long as a frame. Control characters except line feeds are escaped.
 */
export function replyMessage(message: string): string {
  const cut = message.length > longest ? `${message.slice(0, longest)}…` : message;
  return cut.replace(
    /[^\P{Cc}\n]/gu,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
