/** Wraps a paragraph at spaces into lines of at most `width` characters, each with `indent` before it. */
export function wrap(paragraph: string, width: number, indent = ''): string {
  const lines: string[] = [];
  let line = '';
  for (const word of paragraph.split(/\s+/)) {
    if (line !== '' && indent.length + line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.map((text) => `${indent}${text}\n`).join('');
}
