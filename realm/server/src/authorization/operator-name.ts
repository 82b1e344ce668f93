/** Guests whose relay is trusted accept no other names of operators (docs/realm-operators.md, "What the realm does with a call"). */
const longest = 256;

/** Returns why guests whose relay is trusted refuse each call of an operator of this name; undefined if they do not. */
export function operatorNameFault(name: string): string | undefined {
  if (!/^[\x20-\x7e]*$/.test(name)) return 'has characters that are not printable ASCII';
  return name.length > longest ? `has more than ${longest} characters` : undefined;
}
