// The first file that Node.js reads in a guest. The agent is beside it as one file, and as what V8 made of that when the
// image was built: a guest does not compile again. V8 takes its own work back only for a text of that length, from the same
// release, under the same flags; both files are in the image, and measured with it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';

const beside = (name) => new URL(name, import.meta.url);
const program = new Script(readFileSync(beside('kata-agent.cjs'), 'utf8'), {
  filename: beside('kata-agent.cjs').pathname,
  cachedData: readFileSync(beside('kata-agent.cache')),
});
if (program.cachedDataRejected)
  process.stderr.write(
    'kata-agent: it was compiled by another Node.js than this one, and is compiled again\n',
  );
program.runInThisContext()(createRequire(import.meta.url), import.meta.url);
