// The program that pulls an image, or unpacks one. The agent starts it as root; it gives up its rights and executes itself, and only
// then reads anything that others have written.
import { writeSync } from 'node:fs';
import { agentSocket, confineAndExecute } from './confine.js';
import type { ChildOptions } from './options.js';

const [, entry = '', step, options = ''] = process.argv;
if (step === 'confine') {
  try {
    confineAndExecute(entry, JSON.parse(options) as ChildOptions);
  } catch (error) {
    const message = `the process cannot be confined: ${String(error)}`;
    writeSync(agentSocket, `${JSON.stringify({ error: { code: 'child', message } })}\n`);
    process.exitCode = 1;
  }
} else if (step === 'pull') {
  void import('./serve-pull.js').then(({ servePull }) => servePull(agentSocket, options === 'keyless'));
} else {
  void import('./serve-unpack.js').then(({ serveUnpack }) => serveUnpack(agentSocket));
}
