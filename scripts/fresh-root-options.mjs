// The command line of `npm run fresh-root`.
import { readOptions } from './command-line.mjs';

/** The releases of Debian on which everything is said to run. */
export const releases = ['bookworm', 'trixie'];

export const usage = `npm run fresh-root -- [OPTIONS] RELEASE…
Makes a root file system of each Debian release (${releases.join(', ')}: 12 and 13) with Node.js and npm and nothing else,
clones the last commit of this checkout into it and runs commands there as root, in namespaces of their own.
Nothing is left behind, also after Ctrl-C. Debian's mirror and npm's registry are this machine's own.
  --command LINE     a line for sh; may be repeated; default: "npm start" and "npm test"
  --node RELEASE     of Node.js, as in 22 or 20.20.2; default: the one that runs this script
  --npm RELEASE      of npm; default: this machine's
  --no-ci            without CI=true, so that a missing prerequisite skips tests
  --keep             keeps each root and prints its path
  --format json      results as JSON on stdout; the commands' own output goes to stderr in any case
  --help
The exit code is 0 when every command ended with 0, 1 when one did not, 2 for wrong use, 130 and 143 after a signal.
Example: npm run --silent fresh-root -- bookworm trixie --command 'npm test packages/ttrpc' --format json`;

const text = { type: 'string' };
const flag = { type: 'boolean', default: false };
const known = {
  command: { type: 'string', multiple: true, default: ['npm start', 'npm test'] },
  node: text,
  npm: text,
  'no-ci': flag,
  keep: flag,
  format: { type: 'string', default: 'text' },
};

/** What these words ask for. Throws an error, whose text is for people, for wrong use. */
export function freshRootOptions(words) {
  const { values, positionals } = readOptions(words, known, { allowPositionals: true });
  if (values.help) return { help: true };
  if (positionals.length === 0) throw new Error(`no release: name one of ${releases.join(', ')}`);
  const unknown = positionals.find((name) => !releases.includes(name));
  if (unknown !== undefined) throw new Error(`${unknown}: unknown release; known are ${releases.join(', ')}`);
  if (!['text', 'json'].includes(values.format))
    throw new Error(`--format ${values.format}: unknown format; known are text, json`);
  return {
    releases: [...new Set(positionals)],
    commands: values.command,
    node: releaseOf('--node', values.node),
    npm: releaseOf('--npm', values.npm),
    ci: !values['no-ci'],
    keep: values.keep,
    format: values.format,
  };
}

function releaseOf(option, value) {
  if (value !== undefined && !/^\d+(\.\d+){0,2}$/.test(value))
    throw new Error(`${option} ${value}: a release is one to three numbers, as in 22 or 20.20.2`);
  return value;
}
