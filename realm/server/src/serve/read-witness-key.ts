import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { parseWitnessKey, TextFormError, type WitnessSigner } from '@kata-agent/tlog';
import { RealmFileError } from './read-files.js';

const maxBytes = 4_096;

/** Reads the private key of a witness: one line. Throws a RealmFileError, also if others can read the file. */
export async function readWitnessKey(path: string): Promise<WitnessSigner> {
  const help = ['make a key: kata-realm witness-key --name HOST/NAME --out FILE'];
  const { text, mode } = await contentOf(path).catch((error: Error) => {
    throw new RealmFileError('unreadable', `--witness-key: cannot read ${path}: ${error.message}`, { help });
  });
  if ((mode & 0o077) !== 0)
    throw new RealmFileError(
      'invalid',
      `--witness-key ${path} is open to other users: its mode is ${(mode & 0o777).toString(8)}`,
      { help: [`chmod 600 ${path}; if others could have read it, make another key`] },
    );
  try {
    return parseWitnessKey(text.replace(/\n$/, ''));
  } catch (error) {
    if (!(error instanceof TextFormError)) throw error;
    throw new RealmFileError('invalid', `--witness-key ${path}: ${error.message}`, { help });
  }
}

async function contentOf(path: string): Promise<{ readonly text: string; readonly mode: number }> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { mode } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
    return { text: buffer.toString('latin1', 0, bytesRead), mode };
  } finally {
    await file.close();
  }
}
