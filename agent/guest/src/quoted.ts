/** Maximum number of characters of a request's text in a message; the rest is cut. */
const max = { name: 150, word: 80, path: 500 };

/** Quotes an identifier or host name, possibly unchecked, for a message. */
export function quotedName(text: string): string {
  return quoted(text, max.name);
}

/** Quotes an option, a number or another short value. */
export function quotedWord(text: string): string {
  return quoted(text, max.word);
}

/** Quotes a path. */
export function quotedPath(text: string): string {
  return quoted(text, max.path);
}

/** JSON, so that control characters are escaped. */
function quoted(text: string, characters: number): string {
  return JSON.stringify(text.slice(0, characters));
}
