import type { Inputs } from './configuration.js';
import { kernelDocumentWord } from './delivery/kernel-command-line-source.js';
import type { Diagnostic } from './diagnostics/diagnostic.js';
import { quote } from './diagnostics/display-text.js';
import type { KernelCommandLine, KernelWord } from './kernel-command-line.js';
import { nearest } from './diagnostics/misspelled-name.js';
import type { OverrideNames, SettingRow } from './settings/setting.js';
import { settings } from './settings/settings.js';
import { kernelPinWord } from './stack/kernel-document.js';
import { boolean, port, seconds } from './value-types/scalars.js';

/** An unparsed value from the command line, the environment or the kernel command line. */
export interface Override {
  readonly row: SettingRow;
  /** undefined for a word without `=` on the kernel command line. */
  readonly text: string | undefined;
  /** Where it comes from. */
  readonly way: 'command line' | 'environment' | 'kernel command line';
  /** `command line --log-level`, `environment KATA_AGENT_LOG_LEVEL`, `kernel command line agent.log`. */
  readonly source: string;
  /** Creates a diagnostic about it, with its position if possible. */
  diagnose(
    severity: Diagnostic['severity'],
    code: Diagnostic['code'],
    message: string,
    help: string,
  ): Diagnostic;
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

/**
 * Collects all overrides in the order of precedence: command line, environment, kernel command line. Unknown ones are
 * reported.
 */
export function collectOverrides(
  inputs: Pick<Inputs, 'flags' | 'environment'>,
  kernel: KernelCommandLine,
): Overrides {
  const diagnostics: Diagnostic[] = [];
  return {
    overrides: [
      ...fromFlags(inputs.flags, diagnostics),
      ...fromEnvironment(inputs.environment, diagnostics),
      ...fromKernelCommandLine(kernel, diagnostics),
    ],
    diagnostics,
  };
}

function fromFlags(flags: Inputs['flags'], diagnostics: Diagnostic[]): readonly Override[] {
  const found: Override[] = [];
  for (const [key, text] of Object.entries(flags)) {
    const row = overridable.find((row) => row.key === key);
    if (row !== undefined) found.push(unlocated(row, text, 'command line', row.override.flag));
    else {
      const message = `${quote(key)} is not a setting that the command line can override`;
      diagnostics.push({ severity: 'error', code: 'KA1501', message, ...didYouMean(key, '', keys()) });
    }
  }
  return found;
}

function fromEnvironment(environment: Inputs['environment'], diagnostics: Diagnostic[]): readonly Override[] {
  const found: Override[] = [];
  for (const [name, text] of Object.entries(environment)) {
    if (text === undefined || !name.startsWith('KATA_AGENT_')) continue;
    const row = overridable.find((row) => row.override.environment === name);
    if (row !== undefined) found.push(unlocated(row, text, 'environment', name));
    else {
      const names = overridable.map((row) => row.override.environment);
      const message = `environment ${name} is not a setting of this agent: it is ignored`;
      diagnostics.push({
        severity: 'warning',
        code: 'KA1501',
        message,
        ...didYouMean(name, 'KATA_AGENT_', names),
      });
    }
  }
  return found;
}

// Used to find documents.
const documentWords: ReadonlySet<string> = new Set(['agent.config_file', kernelDocumentWord, kernelPinWord]);

/** And what other programs of the guest read: attestation agent and data hub have the key broker's address here. */
const otherWords: ReadonlySet<string> = new Set([...documentWords, 'agent.aa_kbc_params']);

function fromKernelCommandLine(kernel: KernelCommandLine, diagnostics: Diagnostic[]): readonly Override[] {
  const found: Override[] = [];
  const aliases: Override[] = [];
  for (const word of kernel.words) {
    const row = overridable.find((row) => row.override.kernelWord === word.name);
    const alias = overridable.find((row) => row.override.kernelAlias?.word === word.name);
    if (row !== undefined) {
      const override = writtenAsKata(row, word, kernel, diagnostics);
      if (override !== undefined) found.push(override);
    } else if (alias !== undefined) {
      // The word also has a meaning for the kernel: other values are ignored.
      const { value, means } = alias.override.kernelAlias ?? {};
      if (word.value === value) aliases.push(located(alias, means, word, kernel));
    } else if (word.name.startsWith('agent.') && !otherWords.has(word.name)) {
      const words = overridable.map((row) => row.override.kernelWord);
      const { help } = didYouMean(word.name, 'agent.', [...words, ...documentWords]);
      const message = `${quote(word.name)} is not a setting of this agent: it is ignored`;
      diagnostics.push(kernel.source.warning('KA1501', word.span, message, help));
    }
  }
  // Later words take precedence; an alias ranks below all of them, as in Kata.
  return [...aliases, ...found.reverse()];
}

/** Returns the word as an override, with the value that Kata's agent reads; undefined: it is ignored there too. */
function writtenAsKata(
  row: Overridable,
  word: KernelWord,
  kernel: KernelCommandLine,
  diagnostics: Diagnostic[],
): Override | undefined {
  const reading = readAsKata(row, word.value);
  if (reading === undefined) return located(row, word.value, word, kernel);
  const override = located(row, reading.ignored ? word.value : reading.text, word, kernel);
  const message = `${reading.message}, as by Kata's agent`;
  diagnostics.push(override.diagnose('warning', 'KA1505', message, reading.help));
  return reading.ignored ? undefined : override;
}

function unlocated(row: SettingRow, text: string, way: Override['way'], name: string): Override {
  const source = `${way} ${name}`;
  return {
    row,
    text,
    way,
    source,
    diagnose: (severity, code, message, help) => ({ severity, code, message: `${source}: ${message}`, help }),
  };
}

function located(
  row: SettingRow,
  text: string | undefined,
  word: KernelWord,
  kernel: KernelCommandLine,
): Override {
  const source = `kernel command line ${word.name}`;
  return {
    row,
    text,
    way: 'kernel command line',
    source,
    diagnose: (severity, code, message, help) =>
      kernel.source[severity](code, word.span, `${source}: ${message}`, help),
  };
}

function keys(): readonly string[] {
  return overridable.map((row) => row.key);
}

/** Suggests the nearest name, comparing what follows the common prefix. */
function didYouMean(name: string, prefix: string, names: readonly string[]): { readonly help: string } {
  const rests = names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  const near = nearest(name.slice(prefix.length), rests);
  return {
    help:
      near === undefined ? 'docs/reference/settings.md lists the names' : `did you mean "${prefix}${near}"?`,
  };
}

/** What Kata's agent makes of a word whose text says something else. */
type KataReading =
  | { readonly ignored: true; readonly message: string; readonly help: string }
  | { readonly ignored: false; readonly text: string; readonly message: string; readonly help: string };

type KernelWordRow = Pick<SettingRow, 'key' | 'type'> & { readonly override: OverrideNames };

/**
 * Returns how Kata's agent reads a word of the kernel command line, where the text alone would be an error or open more
 * (4.1, src/agent/src/config.rs); undefined: as the text says. Words that are not Kata's own are read by their text.
 */
function readAsKata(row: KernelWordRow, text: string | undefined): KataReading | undefined {
  const { kernelWord, kernelForm } = row.override;
  if (!kernelWord.startsWith('agent.')) return undefined;
  const type: unknown = row.type;
  if (type === boolean) return readBoolean(kernelWord, kernelForm ?? 'value', text);
  if (text === undefined) return undefined;
  if (type === seconds && /^0+$/.test(text))
    return ignored('a timeout of 0 is ignored', `remove it, or write ${kernelWord}=SECONDS`);
  if (type === port && /^-\d+$/.test(text))
    return ignored(`port ${quote(text)} is ignored`, `remove it, or write ${kernelWord}=PORT`);
  return undefined;
}

function readBoolean(
  word: string,
  form: NonNullable<OverrideNames['kernelForm']>,
  text: string | undefined,
): KataReading | undefined {
  if (text === undefined)
    return form === 'value'
      ? ignored('it is ignored without a value', `write ${word}=true, or remove it`)
      : undefined;
  if (/^(?:false|no|off|0+)$/.test(text)) return undefined;
  if (form === 'word')
    return ignored(`the value ${quote(text)} is ignored`, `write ${word} alone, or remove it`);
  if (text === 'true' || /^\d+$/.test(text)) return undefined;
  return {
    ignored: false,
    text: 'false',
    message: `${quote(text)} is read as false`,
    help: `write ${word}=true or ${word}=false`,
  };
}

function ignored(message: string, help: string): KataReading {
  return { ignored: true, message, help };
}
