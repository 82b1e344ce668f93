// Installs Debian packages: those that apt knows, even if it does not know all of them.
import { aptSources, registryErrorText, runWithRetries } from './registry.mjs';
import { run } from './run-program.mjs';

/** @typedef {import('./registry.mjs').Outcome} Outcome */

const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
/** Options for downloads. apt's cache keeps files between tries. */
const fetching = ['Acquire::Retries=1', 'Acquire::http::Timeout=30', 'Acquire::https::Timeout=30'].flatMap(
  (setting) => ['-o', setting],
);
// Without Error-Mode=any, apt-get exits with 0 even if it could not download a list.
const update = ['update', '-qq', ...fetching, '-o', 'APT::Update::Error-Mode=any'];
// A new machine often installs updates after its first boot, and holds the lock.
const waitForLock = ['-o', 'DPkg::Lock::Timeout=600'];
const install = ['install', '-y', '-qq', '--no-install-recommends', ...waitForLock, ...fetching];

/**
 * Installs packages and returns error messages. `step` runs a function under a title (scripts/bootstrap.mjs).
 * `pauses`: seconds between tries.
 *
 * @param {readonly string[]} names
 * @param {(title: string, run: (printProgress: (text: string) => void) => Outcome) => Outcome} step
 * @param {readonly number[]} pauses
 * @returns {readonly string[]}
 */
export function installPackages(names, step, pauses) {
  /** @type {string[]} */
  const problems = [];
  /**
   * @param {string} title
   * @param {readonly string[]} args
   * @param {readonly number[]} aptPauses
   */
  const apt = (title, args, aptPauses) => {
    const result = step(title, (printProgress) =>
      runWithRetries('apt-get', args, { env, printProgress, pauses: aptPauses }),
    );
    return { ...result, title };
  };
  /** @param {Outcome & { readonly title: string }} result */
  const addProblem = ({ title, ok, output, registryError }) => {
    if (ok) return;
    problems.push(
      registryError === undefined
        ? `${title} failed:\n${output.trim()}`
        : registryErrorText(title, registryError, aptSources),
    );
  };
  const lists = apt('reading the Debian package lists', update, pauses);
  addProblem(lists);
  const known = knownPackages(names);
  const unknown = names.filter((name) => !known.includes(name));
  if (lists.ok && unknown.length > 0)
    problems.push(`apt does not know these packages: ${unknown.join(', ')}`);
  if (known.length === 0) return problems;
  /** @param {readonly string[]} selected */
  const installSelected = (selected) =>
    // If the lists could not be downloaded after all retries, the mirror is tried only once more.
    apt(`installing ${selected.join(', ')}`, [...install, ...selected], lists.ok ? pauses : []);
  const all = installSelected(known);
  // apt-get installs nothing if one package fails: install each by itself.
  const separately = !all.ok && all.registryError === undefined && known.length > 1;
  for (const result of separately ? known.map((name) => installSelected([name])) : [all]) addProblem(result);
  return problems;
}

/**
 * Returns the packages that apt has a candidate version of.
 *
 * @param {readonly string[]} names
 */
function knownPackages(names) {
  return candidatesIn(run('apt-cache', ['policy', ...names])).filter((name) => names.includes(name));
}

/**
 * Returns the packages with a candidate version in the output of `apt-cache policy`.
 *
 * @param {string} printed
 * @returns {readonly string[]}
 */
export function candidatesIn(printed) {
  const found = printed.matchAll(/^(\S+):\n(?: {2}.*\n)*? {2}Candidate: (.+)$/gm);
  return [...found].flatMap(([, name, version]) =>
    name === undefined || version === '(none)' ? [] : [name],
  );
}
