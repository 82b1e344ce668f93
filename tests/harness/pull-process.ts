// Pulls an image into a directory in a process of its own: arguments REFERENCE CA-FILE DIRECTORY. Prints the code of the
// error, or `pulled`, and what is left in the directory, in JSON.
import { readdirSync, readFileSync } from 'node:fs';
import { pull } from '@kata-agent/puller';
import { ImageError } from '@kata-agent/registry';
import { openSettings } from './pull-settings.js';

const [reference = '', ca = '', directory = ''] = process.argv.slice(2);
const code = await pull(
  { reference, settings: { ...openSettings, registryCa: [readFileSync(ca, 'utf8')] } },
  { directory, signal: new AbortController().signal, userAgent: 'kata-agent/test' },
).then(
  () => 'pulled',
  (error: unknown) => (error instanceof ImageError ? error.code : String(error)),
);
process.stdout.write(JSON.stringify({ code, left: readdirSync(directory) }));
