/**
 * Adds keys of `[image]` to the text of a configuration, whose own values stay. `keys` are in TOML.
 */
export function withImageSettings(text: string, keys: Readonly<Record<string, string>>): string {
  const header = '[image]\n';
  const at = text.startsWith(header) ? 0 : text.indexOf(`\n${header}`) + 1;
  const has = at > 0 || text.startsWith(header);
  const [before, own] = has ? [text.slice(0, at), text.slice(at + header.length)] : [`${text}\n`, ''];
  const section = own.split(/^\[/m)[0] ?? '';
  const added = Object.entries(keys).filter(([key]) => !new RegExp(`^${key} *=`, 'm').test(section));
  return `${before}${header}${added.map(([key, value]) => `${key} = ${value}\n`).join('')}${own}`;
}
