// The script that Node.js runs. It runs the agent, program.cjs, with V8's code cache of the build, so that a start compiles
// little. V8 accepts the cache only for a source of the same length, from the same release, with the same flags; both files lie
// beside this one, and in an image they are measured with it.
//
// CommonJS, because for an ES module Node.js first starts its module loader.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { Script } = require('node:vm');

// Until Node.js 22 a limit of the heap is one of these flags. It has taken effect already, and threads take it again below.
const isFlag = Number.parseInt(process.versions.node) < 24;
const limit = isFlag && process.execArgv.find((option) => option.startsWith('--max-semi-space-size='));
if (limit) require('node:v8').setFlagsFromString('--max-semi-space-size=0');
const path = join(__dirname, 'program.cjs');
const program = new Script(readFileSync(path, 'latin1'), {
  filename: path,
  cachedData: readFileSync(join(__dirname, 'program.cache')),
});
if (limit) require('node:v8').setFlagsFromString(limit);
if (program.cachedDataRejected)
  process.stderr.write(
    'kata-agent: V8 rejected the code cache, which is of another release of Node.js or for other options, so the agent is compiled again\n',
  );
program.runInThisContext()(require, pathToFileURL(__filename).href);
