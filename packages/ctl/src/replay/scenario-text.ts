import { YamlText } from '@kata-agent/analysis';
import { CommandError } from '../command-error.js';
import { ExitCode } from '../exit-code.js';

/**
 * A scenario's text with its variables filled in: each name under `variables`, which says what it stands for, is
 * written `${name}` elsewhere. Throws CommandError when one has no value, or a value has no name.
 */
export function fillIn(text: string, file: string, values: ReadonlyMap<string, string>): string {
  const yaml = new YamlText(text, file);
  const value: unknown = yaml.root === undefined ? undefined : yaml.value(yaml.root);
  const declared =
    typeof value === 'object' && value !== null && 'variables' in value ? value.variables : undefined;
  const meanings = new Map(Object.entries(declared ?? {}).map(([name, says]) => [name, String(says)]));
  for (const name of values.keys()) {
    if (meanings.has(name)) continue;
    throw new CommandError(ExitCode.Usage, `--set ${name}: ${file} has no such variable`, {
      help: [`its variables: ${[...meanings.keys()].join(', ') || 'none'}`],
    });
  }
  const missing = [...meanings].filter(([name]) => !values.has(name));
  if (missing.length > 0) {
    throw new CommandError(
      ExitCode.Usage,
      `${file} needs a value for ${missing.map(([name]) => name).join(', ')}`,
      { help: missing.map(([name, says]) => `--set ${name}=VALUE: ${says}`) },
    );
  }
  return [...values].reduce((filled, [name, given]) => filled.replaceAll(`\${${name}}`, given), text);
}
