// The command line of `npm run fresh-root`.
import { parseOptions } from '@kata-agent/tool-command/command-line';

/** The options of `npm run fresh-root`. */
export interface FreshRootRequest {
  readonly help?: false;
  readonly releases: readonly string[];
  /** Lines of sh. */
  readonly commands: readonly string[];
  /** The release of Node.js; undefined: that of this process. */
  readonly node: string | undefined;
  /** The release of npm; undefined: this machine's. */
  readonly npm: string | undefined;
  /** Set CI=true. */
  readonly ci: boolean;
  /** Do not remove the roots. */
  readonly keep: boolean;
  readonly format: 'text' | 'json';
}

/** The supported releases of Debian. */
const releases: readonly string[] = ['bookworm', 'trixie'];

export const usage: string = `npm run fresh-root -- [OPTIONS] RELEASE…
Creates a root file system of each Debian release (${releases.join(', ')}: 12 and 13) with only Node.js and npm, clones the
last commit of this checkout into it, and runs commands there as root, in new namespaces. Removes the root file systems
afterwards, also after Ctrl-C. Uses the Debian mirror and the npm registry of this machine.
  --command LINE     run LINE with sh; may be repeated; default: "npm start" and "npm test -- --all"
  --node RELEASE     release of Node.js, such as 22 or 20.20.2; default: the one that runs this script
  --npm RELEASE      release of npm; default: this machine's
  --no-ci            do not set CI=true: a missing prerequisite skips tests
  --keep             keep each root file system and print its path
  --format FORMAT    text or json, for the results on stdout; default: text. Output of the commands goes to stderr
  --help             print this help
The exit code is 0 if every command exits with 0, 1 if one does not, 2 for a usage error, and 129, 130 or 143 after SIGHUP,
SIGINT or SIGTERM.
Example: npm run --silent fresh-root -- bookworm trixie --command 'npm test lib/ttrpc' --format json`;

const text = { type: 'string' } as const;
const flag = { type: 'boolean', default: false } as const;
const defaultCommands: string[] = ['npm start', 'npm test -- --all'];
const known = {
  command: { type: 'string', multiple: true, default: defaultCommands },
  node: text,
  npm: text,
  'no-ci': flag,
  keep: flag,
  format: { type: 'string', default: 'text' },
} as const;

/** Parses the command line. Throws an error with a message for the user if it is not valid. */
export function freshRootOptions(words: readonly string[]): FreshRootRequest | { readonly help: true } {
  const { values, positionals } = parseOptions(words, known, { allowPositionals: true });
  if (values.help) return { help: true };
  if (positionals.length === 0) throw new Error(`no release\nhelp: name one of ${releases.join(', ')}`);
  const unknown = positionals.find((name) => !releases.includes(name));
  if (unknown !== undefined)
    throw new Error(`${unknown}: unknown release\nhelp: use one of ${releases.join(', ')}`);
  const { format } = values;
  if (format !== 'text' && format !== 'json')
    throw new Error(`--format ${format}: unknown format\nhelp: use text or json`);
  return {
    releases: [...new Set(positionals)],
    commands: values.command,
    node: checkRelease('--node', values.node),
    npm: checkRelease('--npm', values.npm),
    ci: !values['no-ci'],
    keep: values.keep,
    format,
  };
}

/** Returns the value of an option, which must look like a release. */
function checkRelease(option: string, value: string | undefined): string | undefined {
  if (value !== undefined && !/^\d+(\.\d+){0,2}$/.test(value))
    throw new Error(`${option} ${value}: a release is one to three numbers, as in 22 or 20.20.2`);
  return value;
}
