const maxLength = 200;

/** Quotes a value for a message: one line of printable ASCII, cut when it is long. */
export function quoted(value: string): string {
  const cut = value.length > maxLength ? `${value.slice(0, maxLength)}…` : value;
  const escaped = JSON.stringify(cut).replaceAll(
    /[^\x20-\x7e\u2026]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return escaped;
}
