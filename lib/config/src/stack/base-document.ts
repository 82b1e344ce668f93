import { resolve } from 'node:path';
import type { Inputs } from '../configuration.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import type { KernelCommandLine, KernelWord } from '../kernel-command-line.js';

/** The base document's bytes and source; `undefined` when there is none and none was requested. */
export type Chosen =
  | { readonly ok: true; readonly document: ChosenDocument | undefined }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

export interface ChosenDocument {
  readonly file: string;
  readonly source: 'built in' | '-c' | 'default path' | 'agent.config_file';
  readonly bytes: Uint8Array;
}

type ChoiceInputs = Pick<Inputs, 'builtIn' | 'configFlag' | 'defaultPath' | 'files' | 'requireConfig'>;

/**
 * Chooses the base document: the built-in one, then `-c`, then the default path, then `agent.config_file=`. The kernel
 * command line is written by the host, so it comes last. A weaker source that names another file than a stronger one is
 * an error, and so are two kernel words with different files.
 */
export function chooseBaseDocument(inputs: ChoiceInputs, kernel: KernelCommandLine): Chosen {
  const words = kernel.words.filter(({ name }) => name === 'agent.config_file');
  const malformed = words.flatMap((word) => malformedWord(word, kernel));
  if (malformed.length > 0) return { ok: false, diagnostics: malformed };

  const stronger = strongestDocument(inputs);
  if (!stronger.ok) return stronger;
  const last = words.at(-1);
  const chosen =
    stronger.document === undefined && last?.value !== undefined
      ? readNamed(last.value, 'agent.config_file', inputs, (code, message, help) =>
          kernel.source.error(code, last.span, message, help),
        )
      : stronger;
  if (!chosen.ok) return chosen;
  if (chosen.document === undefined && inputs.requireConfig === true) {
    const where = inputs.defaultPath === undefined ? 'name one with -c FILE' : `create ${inputs.defaultPath}`;
    return failed('KA1601', 'there is no configuration, and --require-config asks for one', where);
  }
  const { document } = chosen;
  if (document === undefined) return chosen;
  const diagnostics = words
    .filter(({ value = '' }) => document.source === 'built in' || resolve(value) !== resolve(document.file))
    .map(({ value = '', span }) => {
      const { message, help } = conflict('agent.config_file', value, document);
      return kernel.source.error('KA1602', span, message, help);
    });
  return diagnostics.length === 0 ? chosen : { ok: false, diagnostics };
}

/** Returns the document of the sources above the kernel command line. */
function strongestDocument(inputs: ChoiceInputs): Chosen {
  const { builtIn, configFlag, defaultPath, files } = inputs;
  if (builtIn !== undefined) {
    const document: ChosenDocument = { file: builtIn.name, source: 'built in', bytes: builtIn.bytes };
    if (configFlag === undefined) return { ok: true, document };
    const { message, help } = conflict('-c', configFlag, document);
    return failed('KA1602', message, help);
  }
  if (configFlag !== undefined) return readNamed(configFlag, '-c', inputs, asError);
  if (defaultPath === undefined) return { ok: true, document: undefined };
  const read = files.read(defaultPath);
  if (read.ok)
    return { ok: true, document: { file: defaultPath, source: 'default path', bytes: read.bytes } };
  return read.missing ? { ok: true, document: undefined } : failed(read.code, read.message, read.help);
}

/** A named document must exist. */
function readNamed(
  file: string,
  source: ChosenDocument['source'],
  { files }: ChoiceInputs,
  error: (code: Diagnostic['code'], message: string, help: string) => Diagnostic,
): Chosen {
  const read = files.read(file);
  if (read.ok) return { ok: true, document: { file, source, bytes: read.bytes } };
  return { ok: false, diagnostics: [error(read.code, read.message, read.help)] };
}

function malformedWord({ value, span }: KernelWord, kernel: KernelCommandLine): readonly Diagnostic[] {
  if (value?.startsWith('/') === true) return [];
  const found = value === undefined ? 'has no value' : `names ${quote(value)}`;
  const message = `agent.config_file ${found}; it must name an absolute path`;
  return [
    kernel.source.error('KA1503', span, message, 'write agent.config_file=/etc/kata-agent/config.toml'),
  ];
}

function conflict(
  way: string,
  file: string,
  chosen: ChosenDocument,
): { readonly message: string; readonly help: string } {
  const by =
    chosen.source === 'built in' ? 'the built-in document' : `${quote(chosen.file)} (${chosen.source})`;
  return {
    message: `${way} names ${quote(file)}, but ${by} is the configuration of this guest`,
    help: `remove ${way}: it has lower precedence`,
  };
}

function failed(code: Diagnostic['code'], message: string, help: string): Chosen {
  return { ok: false, diagnostics: [asError(code, message, help)] };
}

function asError(code: Diagnostic['code'], message: string, help: string): Diagnostic {
  return { severity: 'error', code, message, help };
}
