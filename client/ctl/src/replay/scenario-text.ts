import { YamlText } from '@kata-agent/analysis';
import { CommandError, ExitCode } from '@kata-agent/cli';

/**
 * Substitutes the variables in a scenario's text: `variables` declares each name with its meaning, and `${name}` uses
 * it. Throws CommandError if a variable has no value, or if a value has no variable.
 */
export function fillIn(text: string, file: string, values: ReadonlyMap<string, string>): string {
  const yaml = new YamlText(text, file);
  const value: unknown = yaml.root === undefined ? undefined : yaml.value(yaml.root);
  const declared =
    typeof value === 'object' && value !== null && 'variables' in value ? value.variables : undefined;
  const meanings = new Map(
    Object.entries(declared ?? {}).map(([name, description]) => [name, String(description)]),
  );
  for (const name of values.keys()) {
    if (meanings.has(name)) continue;
    throw new CommandError(ExitCode.Usage, `--set ${name}: ${file} has no such variable`, {
      help: [`variables: ${[...meanings.keys()].join(', ') || 'none'}`],
    });
  }
  const missing = [...meanings].filter(([name]) => !values.has(name));
  if (missing.length > 0) {
    throw new CommandError(
      ExitCode.Usage,
      `${file} needs a value for ${missing.map(([name]) => name).join(', ')}`,
      { help: missing.map(([name, description]) => `--set ${name}=VALUE: ${description}`) },
    );
  }
  return [...values].reduce((filled, [name, given]) => filled.replaceAll(`\${${name}}`, given), text);
}
