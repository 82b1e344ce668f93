// A reporter of node:test that writes what a person asks after a run as one JSON object: counts, failures, and what was skipped
// and why.
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** As node:test calls it. */
async function* report(events) {
  yield `${JSON.stringify(await summary(events, fileURLToPath(new URL('..', import.meta.url))), null, 2)}\n`;
}

// oxlint-disable-next-line import/no-default-export -- node:test takes a reporter so
export default report;

/** What is asked of the events of a run, paths below `root`: `counts`, `failures`, `skipped`. */
export async function summary(events, root) {
  const counts = {};
  const failures = [];
  const skipped = [];
  const names = [];
  for await (const { type, data } of events) {
    if (type === 'test:start') names.splice(data.nesting, names.length, data.name);
    if (type === 'test:diagnostic' && data.nesting === 0) {
      const [, name, count] =
        /^(tests|suites|pass|fail|cancelled|skipped|todo) (\d+)$/.exec(data.message) ?? [];
      if (name !== undefined) counts[name] = Number(count);
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const name = [...names.slice(0, data.nesting), data.name].join(' › ');
    const file = data.file === undefined ? '' : relative(root, data.file);
    if (data.skip !== undefined && data.skip !== false)
      skipped.push({
        file,
        name,
        reason: typeof data.skip === 'string' && data.skip !== '' ? data.skip : 'no reason',
      });
    else if (type === 'test:fail' && data.details.error?.failureType !== 'subtestsFailed')
      failures.push({ file, name, message: messageOf(data.details.error) });
  }
  return { counts, failures, skipped };
}

function messageOf(error) {
  const cause = error?.cause ?? error;
  return String(cause?.message ?? cause).split('\n')[0];
}
