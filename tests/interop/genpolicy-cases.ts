// The request cases of Kata's genpolicy against configurations that `config generate` writes for the same pods:
//
//   node tests/dist/interop/genpolicy-cases.js --source DIR [--verbose]
//
// DIR is a checkout of Kata Containers; nothing of it is in this repository. A request of a case has only the members that
// its policy reads; the others come from the request that a runtime is expected to make (`genpolicy-completion.ts`).
//
// Prints a line for each case that is decided otherwise than by genpolicy, with the rules that deny it, and a summary. The
// exit code is 1 if a request passes that genpolicy refuses, or if each rule that denies it also denies a request of the same
// pod and method that genpolicy allows: then the decision may be about something else than the case.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { decideAll, type Decided, directoriesBelow } from './genpolicy-decisions.js';

const { values } = parseArgs({
  options: { source: { type: 'string' }, verbose: { type: 'boolean', default: false } },
});
if (values.source === undefined) {
  console.error('usage: node tests/dist/interop/genpolicy-cases.js --source DIR [--verbose]');
  process.exit(2);
}
const root = join(values.source, 'src/tools/genpolicy/tests/policy/testdata');
if (!existsSync(root)) {
  console.error(`${root} does not exist\nhelp: pass a checkout of Kata Containers with src/tools/genpolicy`);
  process.exit(3);
}

function report(all: readonly Decided[]): void {
  const passed = ({ deniedBy }: Decided): boolean => deniedBy.length === 0;
  const isUnclear = ({ allowed, deniedBy, own }: Decided): boolean =>
    !allowed && deniedBy.length > 0 && own.length === 0;
  for (const each of all) {
    const { directory, kind, description, allowed, deniedBy, own } = each;
    if (passed(each) === allowed && !isUnclear(each) && !values.verbose) continue;
    const decision = isUnclear(each) ? 'unclear' : passed(each) ? 'passes' : 'denied';
    console.log(
      `${allowed ? 'allowed' : 'refused'} by genpolicy, ${decision}: ${directory}, ${kind}: ${description}`,
    );
    for (const rule of deniedBy)
      console.log(`    ${rule}${allowed || own.includes(rule) ? '' : ' (an allowed case too)'}`);
  }
  const allowed = all.filter((each) => each.allowed);
  const refused = all.filter((each) => !each.allowed);
  console.log(
    `${all.length} cases; allowed by genpolicy: ${allowed.length}, of which ${allowed.filter(passed).length} pass; ` +
      `refused: ${refused.length}, of which ${refused.filter(passed).length} pass and ${refused.filter(isUnclear).length} are unclear`,
  );
  process.exitCode = refused.some((each) => passed(each) || isUnclear(each)) ? 1 : 0;
}

const decided: Decided[] = [];
for (const directory of directoriesBelow(root)) decided.push(...(await decideAll(root, directory)));
report(decided);
