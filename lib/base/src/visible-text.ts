/**
 * Characters that a reader does not see as what they are: controls, bidirectional and other format characters, unassigned ones,
 * separators and all spaces but the usual one, what is shown as nothing (Unicode's default ignorables, the empty Braille pattern), and
 * marks beyond the third on one letter, which cover what is near it.
 */
const invisible =
  /[\p{C}\p{Zl}\p{Zp}\u2800]|(?! )\p{Zs}|\p{Default_Ignorable_Code_Point}|(?<=\p{M}{3})\p{M}/gu;

/**
 * Returns a text of another party with each invisible character as `\u{202e}`, so that two texts that look alike are alike.
 *
 * @param kept characters that stay, such as `\n`
 */
export function visibleText(text: string, kept = ''): string {
  return text.replace(invisible, (character) =>
    kept.includes(character) ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
