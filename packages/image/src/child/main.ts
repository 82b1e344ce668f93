// The program that unpacks an image. The agent starts it as root; it gives up its rights and executes itself, and only
// then reads anything that others have written.
import { writeSync } from 'node:fs';
import { agentSocket, confineAndExecute } from './confine-and-execute.js';
import type { ChildOptions } from './options.js';

const [, entry = '', step, options = ''] = process.argv;
if (step === 'confine') {
  try {
    confineAndExecute(entry, JSON.parse(options) as ChildOptions);
  } catch (error) {
    const message = `cannot confine the process that unpacks the image: ${String(error)}`;
    writeSync(agentSocket, `${JSON.stringify({ error: { code: 'child', message } })}\n`);
    process.exitCode = 1;
  }
} else {
  void import('./serve-unpack.js').then(({ serveUnpack }) => serveUnpack(agentSocket));
}
