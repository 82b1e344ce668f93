import type { TrustedKeys } from '@kata-agent/audit';
import {
  parseAgentLogVerifier,
  parseAgentLogCheckpoint,
  parseVerifier,
  TextFormError,
  type UnverifiedCheckpoint,
  WitnessVerifier,
} from '@kata-agent/tlog';
import type { OptionRow } from '../command/definition.js';
import type { Options } from '../command/options.js';
import { CommandError, ExitCode } from '../command/command-error.js';
import { readInput } from './read-input.js';

export const witnessOption: OptionRow = {
  flags: '--witness <key>',
  description: 'the key of a witness, NAME+ID+BASE64; may be repeated',
  repeatable: true,
};

/** The options of `trustedKeys`. */
export const keyOptions: readonly OptionRow[] = [
  {
    flags: '--key <key>',
    description: 'the key of the log, NAME+ID+BASE64, from a source that you trust and that is not the log',
  },
  witnessOption,
  { flags: '--quorum <n>', description: 'how many of the witnesses must have cosigned', fallback: '1' },
];

/** Returns the keys of the options. Throws a CommandError. */
export function trustedKeys(options: Options): TrustedKeys {
  const key = options.text('key');
  const witnesses = witnessKeys(options);
  return {
    key: key === undefined ? undefined : parsed('--key', () => parseAgentLogVerifier(key)),
    witnesses,
    quorum: options.whole('quorum', 1, Math.max(1, witnesses.length)) ?? 1,
  };
}

/** Returns the keys of `--witness`. Throws a CommandError. */
export function witnessKeys(options: Options): readonly WitnessVerifier[] {
  const verifiers = options.texts('witness').map((text) => parsed('--witness', () => witnessOf(text)));
  const keys = verifiers.map(({ publicKey }) => Buffer.from(publicKey).toString('hex'));
  const again = verifiers.find((_, index) => keys.indexOf(keys[index] ?? '') < index);
  if (again !== undefined)
    throw new CommandError(ExitCode.Usage, `--witness: the key of ${again.name} is given twice`, {
      help: ['name each witness once: two names of one key are one witness'],
    });
  return verifiers;
}

/** Reads a checkpoint. Throws a CommandError. */
export function readCheckpoint(path: string): UnverifiedCheckpoint {
  return parsed(path, () => parseAgentLogCheckpoint(readInput(path)));
}

/** Runs a parser. Throws a CommandError that names what was parsed. */
export function parsed<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof TextFormError)) throw error;
    throw new CommandError(ExitCode.Usage, `${what}: ${error.message}`);
  }
}

function witnessOf(text: string): WitnessVerifier {
  const verifier = parseVerifier(text);
  if (verifier instanceof WitnessVerifier) return verifier;
  throw new TextFormError(`${JSON.stringify(text)} is the key of a log, not of a witness`);
}
