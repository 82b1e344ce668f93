// Installs Debian packages: all that apt can find, so that one it does not know costs no other.
import { run } from './image-packages.mjs';
import { faultText, patiently } from './registry.mjs';

const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
/** apt tries each file again by itself, after 1, 2 and 4 s; what was downloaded stays in its cache. */
const fetching = [
  '-o',
  'Acquire::Retries=3',
  '-o',
  'Acquire::http::Timeout=30',
  '-o',
  'Acquire::https::Timeout=30',
];
const aptSettings = '/etc/apt/sources.list.d';

/**
 * Installs packages and answers what went wrong, for people. `step` runs a function under a title; see scripts/bootstrap.mjs.
 */
export function installPackages(names, step) {
  const problems = [];
  const note = (title, { ok, said, fault }) => {
    if (!ok)
      problems.push(
        fault === undefined ? `${title} failed:\n${said.trim()}` : faultText(title, fault, aptSettings),
      );
    return ok;
  };
  const reading = 'reading the Debian package lists';
  // apt-get takes lists that it could not read for read, unless it is told otherwise.
  const update = ['update', '-qq', ...fetching, '-o', 'APT::Update::Error-Mode=any'];
  note(
    reading,
    step(reading, (say) => patiently('apt-get', update, { env, say })),
  );

  const known = knownPackages(names);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) problems.push(`apt knows no package ${unknown.join(', ')}`);
  if (known.length === 0) return problems;
  const install = (some) => {
    const title = `installing ${some.join(', ')}`;
    const args = ['install', '-y', '-qq', '--no-install-recommends', ...fetching, ...some];
    return { title, result: step(title, (say) => patiently('apt-get', args, { env, say })) };
  };
  const all = install(known);
  // One that cannot be installed keeps the others from it: so each by itself. A mirror that does not answer is no such case.
  if (all.result.ok) return problems;
  if (all.result.fault !== undefined || known.length === 1) note(all.title, all.result);
  else
    for (const name of known) {
      const { title, result } = install([name]);
      note(title, result);
    }
  return problems;
}

/** Those that apt has a candidate of. */
function knownPackages(names) {
  return candidatesIn(run('apt-cache', ['policy', ...names])).filter((name) => names.includes(name));
}

/** The same of what `apt-cache policy` printed. */
export function candidatesIn(printed) {
  const found = printed.matchAll(/^(\S+):\n(?: {2}.*\n)*? {2}Candidate: (.+)$/gm);
  return [...found].filter(([, , version]) => version !== '(none)').map(([, name]) => name);
}
