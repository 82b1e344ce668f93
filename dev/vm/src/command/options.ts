// The command line of `npm run vm`.
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import {
  existingFile,
  existingDirectory,
  outputFile,
  socketDirectory,
  parseOptions,
  positiveInteger,
} from '@kata-agent/tool-command/command-line';
import { parseAccelerator, type RequestedAccelerator, requestedAccelerator } from '../machine/accelerator.js';
import { defaultLimits } from '../machine/limits.js';

/** The options of `npm run vm`. Paths are absolute. */
export interface VmRequest {
  readonly help?: false;
  /** Contains the image, the console and the agent's socket. */
  readonly directory: string;
  /** The command to run once the agent listens; empty for none. */
  readonly command: readonly string[];
  /** Stop the machine that runs in the directory, and do nothing else. */
  readonly stop: boolean;
  /** Skip the installation of Debian packages. */
  readonly compiled: boolean;
  readonly tpm: boolean;
  /** Words for the kernel command line. */
  readonly append: readonly string[];
  /** Optional parts of the image, as of `npm run image -- --with`. */
  readonly with: readonly string[];
  readonly accel: RequestedAccelerator;
  /** Seconds that the agent may take to listen. */
  readonly timeout?: number;
  readonly config: string;
  /** In MB. */
  readonly memory: number;
  readonly disks: readonly string[];
  /** The file to write the console to. */
  readonly console: string;
  /** A directory to share by virtio-fs. */
  readonly share?: string;
}

export const usage: string = `npm run vm [-- OPTIONS] [COMMAND…]
  --config FILE      configuration of the agent; default: examples/open.toml
  --virtiofs DIR     share DIR by virtio-fs, as Kata does (tag kataShared)
  --disk FILE        add a block device backed by FILE; may be repeated
  --memory MB        memory of the guest; default: 512
  --append WORDS     append WORDS to the kernel command line; may be repeated
  --console FILE     write the console to FILE; default: console.log in the directory
  --tpm              add a TPM; its keys are stored in tpm/ in the directory
  --with PART        add an optional part to the image, as of npm run image; may be repeated
  --accel NAME       kvm, tcg (emulation), or auto: KVM, or TCG if KVM fails; default: KATA_VM_ACCEL, or auto
  --timeout SECONDS  limit until the agent listens, and limit without console output; default: ${defaultLimits.up} and ${defaultLimits.silence}
  --directory DIR    directory for the image, the console and the agent's socket; default: build/vm
  --compiled         skip compiling and installing packages
  --stop             stop the machine that runs in the directory, from another terminal
  --help             print this help
Runs COMMAND once the agent listens, with KATA_AGENT_ADDRESS set, then powers the machine off. Without COMMAND the
machine runs until Ctrl-C or --stop; a second Ctrl-C or --stop kills it. The exit code is COMMAND's (127 if it is not
found, 128 plus the signal's number if a signal ends it), 0 without COMMAND, 1 if the machine does not come up or fails
or --stop finds no machine, and 2 for a usage error.
Example: npm run vm -- npx kata-agent-ctl check`;

/** The name of the agent's socket on this machine, in the directory. */
export const agentSocket = 'agent.sock';

const text = { type: 'string' } as const;
const flag = { type: 'boolean', default: false } as const;
const none: string[] = [];
const several = { type: 'string', multiple: true, default: none } as const;
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
  directory: text,
  compiled: flag,
  stop: flag,
} as const;

/** Parses the command line. Throws an error with a message for the user if it is not valid. */
export function vmOptions(words: readonly string[]): VmRequest | { readonly help: true } {
  const end = firstWordOfCommand(words);
  const { values } = parseOptions(words.slice(0, end), known);
  const command = words.slice(words[end] === '--' ? end + 1 : end);
  if (values.help) return { help: true };
  const directory = socketDirectory(
    '--directory',
    values.directory ?? join(root, 'build', 'vm'),
    agentSocket,
  );
  if (values.stop && command.length > 0)
    throw new Error(`--stop takes no command, but ${command[0]} follows`);
  return {
    directory,
    command,
    stop: values.stop,
    compiled: values.compiled,
    tpm: values.tpm,
    append: values.append,
    with: values.with,
    accel: values.accel === undefined ? requestedAccelerator() : parseAccelerator('--accel', values.accel),
    ...(values.timeout === undefined ? {} : { timeout: positiveInteger('--timeout', values.timeout) }),
    config: existingFile('--config', values.config ?? join(root, 'examples', 'open.toml')),
    memory: positiveInteger('--memory', values.memory ?? '512'),
    disks: values.disk.map((path) => existingFile('--disk', path)),
    console:
      values.console === undefined ? join(directory, 'console.log') : outputFile('--console', values.console),
    ...(values.virtiofs === undefined ? {} : { share: existingDirectory('--virtiofs', values.virtiofs) }),
  };
}

/** Returns the index of the first word that is neither an option of `npm run vm` nor the value of one. */
function firstWordOfCommand(words: readonly string[]): number {
  const flags = [
    '--help',
    ...Object.entries(known).flatMap(([name, option]) => (option === flag ? [`--${name}`] : [])),
  ];
  let at = 0;
  for (let word = words[at]; word?.startsWith('-') && word !== '--'; word = words[at])
    at += flags.includes(word) || word.includes('=') || !word.startsWith('--') ? 1 : 2;
  return Math.min(at, words.length);
}
