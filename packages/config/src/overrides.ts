import type { Inputs } from './configuration.js';
import { kernelDocumentWord } from './delivery/kernel-line-source.js';
import type { Diagnostic } from './diagnostic.js';
import { quote } from './display-text.js';
import type { KernelLine, KernelWord } from './kernel-line.js';
import { nearest } from './nearest.js';
import type { OverrideNames, SettingRow } from './settings/setting.js';
import { settings } from './settings/settings.js';
import { kernelPinWord } from './stack/kernel-pin.js';

/** A value from the command line, the environment or the kernel line, not yet read. */
export interface Override {
  readonly row: SettingRow;
  /** undefined: a bare word of the kernel line. */
  readonly text: string | undefined;
  /** Where it stands. */
  readonly way: 'command line' | 'environment' | 'kernel line';
  /** `command line --log-level`, `environment KATA_AGENT_LOG_LEVEL`, `kernel line agent.log`. */
  readonly source: string;
  /** A diagnostic about it, pointing at it where that is possible. */
  diagnose(severity: Diagnostic['severity'], message: string, help: string): Diagnostic;
}

export interface Overrides {
  /** Strongest first. */
  readonly overrides: readonly Override[];
  readonly diagnostics: readonly Diagnostic[];
}

type Overridable = SettingRow & { readonly override: OverrideNames };

const overridable: readonly Overridable[] = settings.filter(
  (row): row is Overridable => row.override !== undefined,
);

/** All overrides, by strength: command line, environment, kernel line. What looks like one and is not is reported. */
export function collectOverrides(
  inputs: Pick<Inputs, 'flags' | 'environment'>,
  kernel: KernelLine,
): Overrides {
  const diagnostics: Diagnostic[] = [];
  return {
    overrides: [
      ...fromFlags(inputs.flags, diagnostics),
      ...fromEnvironment(inputs.environment, diagnostics),
      ...fromKernelLine(kernel, diagnostics),
    ],
    diagnostics,
  };
}

function fromFlags(flags: Inputs['flags'], diagnostics: Diagnostic[]): readonly Override[] {
  const found: Override[] = [];
  for (const [key, text] of Object.entries(flags)) {
    const row = overridable.find((row) => row.key === key);
    if (row !== undefined) found.push(spoken(row, text, 'command line', row.override.flag));
    else {
      const message = `${quote(key)} is not a setting that the command line can override`;
      diagnostics.push({ severity: 'error', message, ...didYouMean(key, '', keys()) });
    }
  }
  return found;
}

function fromEnvironment(environment: Inputs['environment'], diagnostics: Diagnostic[]): readonly Override[] {
  const found: Override[] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (text === undefined || !name.startsWith('KATA_AGENT_')) continue;
    const row = overridable.find((row) => row.override.environment === name);
    if (row !== undefined) found.push(spoken(row, text, 'environment', name));
    else {
      const names = overridable.map((row) => row.override.environment);
      const message = `environment ${name} is not a setting of this agent: it is ignored`;
      diagnostics.push({ severity: 'warning', message, ...didYouMean(name, 'KATA_AGENT_', names) });
    }
  }
  return found;
}

// Read where documents are found.
const documentWords: ReadonlySet<string> = new Set(['agent.config_file', kernelDocumentWord, kernelPinWord]);

function fromKernelLine(kernel: KernelLine, diagnostics: Diagnostic[]): readonly Override[] {
  const found: Override[] = [];
  const aliases: Override[] = [];
  for (const word of kernel.words) {
    const row = overridable.find((row) => row.override.kernelWord === word.name);
    const alias = overridable.find((row) => row.override.kernelAlias?.word === word.name);
    if (row !== undefined) found.push(written(row, word.value, word, kernel));
    else if (alias !== undefined) {
      // The kernel has its own use for such a word: other values of it are not ours.
      const { value, means } = alias.override.kernelAlias ?? {};
      if (word.value === value) aliases.push(written(alias, means, word, kernel));
    } else if (word.name.startsWith('agent.') && !documentWords.has(word.name)) {
      const words = overridable.map((row) => row.override.kernelWord);
      const { help } = didYouMean(word.name, 'agent.', [...words, ...documentWords]);
      const message = `${quote(word.name)} is not a setting of this agent: it is ignored`;
      diagnostics.push(kernel.source.warning(word.span, message, help));
    }
  }
  // Later words are stronger; an alias stands beside them all, as Kata has it.
  return [...aliases, ...found.reverse()];
}

function spoken(row: SettingRow, text: string, way: Override['way'], name: string): Override {
  const source = `${way} ${name}`;
  return {
    row,
    text,
    way,
    source,
    diagnose: (severity, message, help) => ({ severity, message: `${source}: ${message}`, help }),
  };
}

function written(row: SettingRow, text: string | undefined, word: KernelWord, kernel: KernelLine): Override {
  const source = `kernel line ${word.name}`;
  return {
    row,
    text,
    way: 'kernel line',
    source,
    diagnose: (severity, message, help) => kernel.source[severity](word.span, `${source}: ${message}`, help),
  };
}

function keys(): readonly string[] {
  return overridable.map((row) => row.key);
}

/** The nearest of the names, by what follows the prefix that all of them have. */
function didYouMean(name: string, prefix: string, names: readonly string[]): { readonly help: string } {
  const rests = names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  const near = nearest(name.slice(prefix.length), rests);
  return {
    help:
      near === undefined ? 'docs/reference/settings.md lists the names' : `did you mean "${prefix}${near}"?`,
  };
}
