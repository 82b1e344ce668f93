import { quote } from '../diagnostics/display-text.js';
import type { OverrideNames, SettingRow } from '../settings/setting.js';
import { boolean } from '../value-types/boolean.js';
import { port, seconds } from '../value-types/integer.js';

/** What Kata's agent makes of a word whose text says something else. */
export type KataReading =
  | { readonly ignored: true; readonly message: string; readonly help: string }
  | { readonly ignored: false; readonly text: string; readonly message: string; readonly help: string };

type Overridable = Pick<SettingRow, 'key' | 'type'> & { readonly override: OverrideNames };

/**
 * Returns how Kata's agent reads a word of the kernel command line, where the text alone would be an error or open more
 * (4.1, src/agent/src/config.rs); undefined: as the text says. Words that are not Kata's own are read by their text.
 */
export function readAsKata(row: Overridable, text: string | undefined): KataReading | undefined {
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
