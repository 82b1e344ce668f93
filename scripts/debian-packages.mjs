// Installs Debian packages: all that apt can find, so that one it does not know costs no other.
import { run } from './image-packages.mjs';
import { aptSources, faultText, patiently } from './registry.mjs';

const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
/** What was downloaded stays in apt's cache. */
const fetching = ['Acquire::Retries=1', 'Acquire::http::Timeout=30', 'Acquire::https::Timeout=30'].flatMap(
  (setting) => ['-o', setting],
);
// apt-get takes lists that it could not read for read, unless it is told otherwise.
const update = ['update', '-qq', ...fetching, '-o', 'APT::Update::Error-Mode=any'];
const install = ['install', '-y', '-qq', '--no-install-recommends', ...fetching];

/**
 * Installs packages and answers what went wrong, for people. `step` runs a function under a title (scripts/bootstrap.mjs);
 * `pauses` are seconds between two tries.
 */
export function installPackages(names, step, pauses) {
  const problems = [];
  const apt = (title, args, waits) => {
    const result = step(title, (say) => patiently('apt-get', args, { env, say, pauses: waits }));
    return { ...result, title };
  };
  const note = ({ title, ok, said, fault }) => {
    if (ok) return;
    problems.push(
      fault === undefined ? `${title} failed:\n${said.trim()}` : faultText(title, fault, aptSources),
    );
  };
  const lists = apt('reading the Debian package lists', update, pauses);
  note(lists);
  const known = knownPackages(names);
  const unknown = names.filter((name) => !known.includes(name));
  if (lists.ok && unknown.length > 0) problems.push(`apt knows no package ${unknown.join(', ')}`);
  if (known.length === 0) return problems;
  const installed = (some) =>
    // A mirror that has just not answered four times is asked once more.
    apt(`installing ${some.join(', ')}`, [...install, ...some], lists.ok ? pauses : []);
  const all = installed(known);
  // One that cannot be installed keeps the others from it: so each by itself.
  const each = !all.ok && all.fault === undefined && known.length > 1;
  for (const result of each ? known.map((name) => installed([name])) : [all]) note(result);
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
