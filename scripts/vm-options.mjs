// The command line of `npm run vm`.
import { join } from 'node:path';
import { root } from './bootstrap.mjs';
import {
  existingFile,
  existingFolder,
  fileToWrite,
  folderForSocket,
  readOptions,
  wholeNumber,
} from './command-line.mjs';
import { checkedAccelerator, wantedAccelerator } from './vm-accelerator.mjs';
import { defaultLimits } from './vm-limits.mjs';

export const usage = `npm run vm [-- OPTIONS] [COMMAND…]
  --config FILE      the configuration in the guest; default: examples/open.toml
  --virtiofs DIR     shares DIR, as Kata does (tag kataShared)
  --disk FILE        a block device; may be repeated
  --memory MB        default: 512
  --append WORDS     words for the kernel's line
  --console FILE     default: build/vm/console.log
  --tpm              a TPM, whose keys are kept in build/vm/tpm
  --with PART        as for npm run image
  --accel WHICH      kvm, tcg (emulation), or auto: KVM, and TCG where that fails. Default: KATA_VM_ACCEL, or auto
  --timeout SECONDS  until the agent listens; default: ${defaultLimits.up}, or ${defaultLimits.silence} without a word on the console
  --folder DIR       where the image, the console and the agent's socket are; default: build/vm
  --compiled         the packages are compiled: do not look again
  --stop             ends the machine that runs in the folder, from another terminal
  --help
COMMAND is run once the agent listens, with KATA_AGENT_ADDRESS set, and the machine ends with it. Without one it runs
until Ctrl-C or --stop; a second one pulls the plug. The exit code is COMMAND's (127 when there is none of that name,
128 and its number for a signal), 0 without one, 1 when no machine comes up, it fails, or none is there to stop, 2 for
wrong use.
Example: npm run vm -- npx kata-agent-ctl check`;

/** The agent's socket on this machine, in the folder. */
export const agentSocket = 'agent.sock';

const text = { type: 'string' };
const flag = { type: 'boolean', default: false };
const several = { type: 'string', multiple: true, default: [] };
const known = {
  config: text,
  virtiofs: text,
  disk: several,
  memory: text,
  append: several,
  console: text,
  tpm: flag,
  with: several,
  accel: text,
  timeout: text,
  folder: text,
  compiled: flag,
  stop: flag,
};

/** What these words ask for, each path made absolute. Throws an error, whose text is for people, for wrong use. */
export function vmOptions(words) {
  const end = firstWordOfCommand(words);
  const { values } = readOptions(words.slice(0, end), known);
  const command = words.slice(words[end] === '--' ? end + 1 : end);
  if (values.help) return { help: true };
  const folder = folderForSocket('--folder', values.folder ?? join(root, 'build', 'vm'), agentSocket);
  if (values.stop && command.length > 0)
    throw new Error(`--stop: takes no command, and there is ${command[0]}`);
  return {
    folder,
    command,
    stop: values.stop,
    compiled: values.compiled,
    tpm: values.tpm,
    append: values.append,
    with: values.with,
    accel: values.accel === undefined ? wantedAccelerator() : checkedAccelerator('--accel', values.accel),
    ...(values.timeout === undefined ? {} : { timeout: wholeNumber('--timeout', values.timeout) }),
    config: existingFile('--config', values.config ?? join(root, 'examples', 'open.toml')),
    memory: wholeNumber('--memory', values.memory ?? '512'),
    disks: values.disk.map((path) => existingFile('--disk', path)),
    console:
      values.console === undefined ? join(folder, 'console.log') : fileToWrite('--console', values.console),
    ...(values.virtiofs === undefined ? {} : { share: existingFolder('--virtiofs', values.virtiofs) }),
  };
}

/** Options of the command are its own: ours end at the first word that belongs to none of them. */
function firstWordOfCommand(words) {
  const alone = [
    '--help',
    ...Object.keys(known)
      .filter((name) => known[name] === flag)
      .map((name) => `--${name}`),
  ];
  let at = 0;
  while (at < words.length && words[at].startsWith('-') && words[at] !== '--')
    at += alone.includes(words[at]) || words[at].includes('=') || !words[at].startsWith('--') ? 1 : 2;
  return Math.min(at, words.length);
}
