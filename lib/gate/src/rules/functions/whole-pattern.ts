/**
 * Returns the pattern within `^…$`, which a whole text matches exactly if part of it matches the pattern. Undefined: it is not of this form, or
 * alternatives, flags or quotations make it uncertain.
 *
 * The engine evaluates `^` again at each character while it looks for a part; a whole match has no such states, and takes a tenth.
 */
export function wholePattern(source: string): string | undefined {
  const last = source.length - 1;
  if (last < 1 || !source.startsWith('^') || !source.endsWith('$')) return undefined;
  let depth = 0;
  for (let at = 1; at < last; at += 1) {
    const rest = source.slice(at, at + 3);
    if (rest.startsWith('\\')) {
      if (at + 1 === last || /^\\[QE]/.test(rest)) return undefined;
      at += 1;
    } else if (rest.startsWith('[')) {
      const end = endOfClass(source, at);
      if (end === undefined || end >= last) return undefined;
      at = end;
    } else if (rest.startsWith('(')) {
      if (rest.startsWith('(?') && rest !== '(?:') return undefined;
      depth += 1;
    } else if (rest.startsWith(')')) {
      depth -= 1;
    } else if (rest.startsWith('|') && depth === 0) {
      return undefined;
    }
    if (depth < 0) return undefined;
  }
  return depth === 0 ? source.slice(1, last) : undefined;
}

/** Returns the position of the `]` that ends a class: not one that is its first member, nor of a class of POSIX in it. */
function endOfClass(source: string, start: number): number | undefined {
  let at = source[start + 1] === '^' ? start + 2 : start + 1;
  if (source[at] === ']') at += 1;
  for (; at < source.length; at += 1) {
    if (source[at] === ']') return at;
    if (source[at] === '\\') at += 1;
    else if (source.startsWith('[:', at)) {
      const end = source.indexOf(':]', at + 2);
      if (end < 0) return undefined;
      at = end + 1;
    }
  }
  return undefined;
}
