import { generateKeyPairSync } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { formatWitnessKey, parseWitnessKey, TextFormError } from '@kata-agent/tlog';
import { type CommandDefinition, CommandError, ExitCode, print } from '@kata-agent/cli';

export const witnessKey: CommandDefinition = {
  path: 'witness-key',
  summary: 'make the key with which a realm cosigns checkpoints, and print its public half',
  details: [
    'Writes an Ed25519 private key to a new file of mode 0600, in the form of Go’s sumdb/note, and prints the verifier key: the value of key in [[audit.witness]] of guests, and of audit verify --witness. An existing file is not replaced.',
    'A key belongs to one --store, which has what was cosigned with it. Two realms with one key, or a store that was restored from a copy, can cosign two trees of one log: make another key then.',
  ],
  options: [
    { flags: '--name <name>', description: 'names the witness, such as realm.example/w1; no spaces, no +' },
    { flags: '--out <file>', description: 'where to write the private key' },
  ],
  examples: [
    {
      line: 'kata-realm witness-key --name realm.example/w1 --out /etc/kata-realm/witness.key',
      description: 'Makes a key for kata-realm serve --witness-key.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const required = (name: 'name' | 'out'): string => {
      const value = invocation.options.text(name);
      if (value !== undefined && value !== '') return value;
      throw new CommandError(ExitCode.Usage, `--${name} is missing`, {
        help: ['kata-realm witness-key needs --name and --out'],
      });
    };
    const out = required('out');
    const text = keyOf(required('name'));
    write(out, `${text}\n`);
    const verifier = parseWitnessKey(text).verifier.toString();
    await print(invocation, { key: verifier, file: out }, () => verifier);
    return ExitCode.Success;
  },
};

function keyOf(name: string): string {
  // What is printed, and written to configurations.
  if (!/^[!-~]+$/.test(name) || name.length > 128)
    throw new CommandError(
      ExitCode.Usage,
      `--name ${JSON.stringify(name)}: it is not the name of a witness`,
      {
        help: ['write printable ASCII without spaces and +, such as realm.example/w1'],
      },
    );
  try {
    return formatWitnessKey(name, generateKeyPairSync('ed25519').privateKey);
  } catch (error) {
    if (!(error instanceof TextFormError)) throw error;
    throw new CommandError(ExitCode.Usage, `--name: ${error.message}`, {
      help: ['write printable ASCII without spaces and +, such as realm.example/w1'],
    });
  }
}

function write(path: string, text: string): void {
  try {
    const file = openSync(path, 'wx', 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new CommandError(ExitCode.CannotApply, `--out: cannot write ${path}: ${(error as Error).message}`, {
      help: ['name a file that does not exist yet: keys are not replaced'],
      cause: error,
    });
  }
}
