// The script that Node.js runs in a guest. It runs the agent, program.cjs, with V8's code cache from the image
// build, so that a guest need not compile it. V8 accepts the cache only for a source of the same length, from
// the same release, with the same flags; both files are in the image, and measured with it.
//
// CommonJS, because for an ES module Node.js first starts its module loader.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { Script } = require('node:vm');

const path = join(__dirname, 'program.cjs');
const program = new Script(readFileSync(path, 'utf8'), {
  filename: path,
  cachedData: readFileSync(join(__dirname, 'program.cache')),
});
if (program.cachedDataRejected)
  process.stderr.write(
    'kata-agent: V8 rejected the code cache of the image build, so the agent is compiled again\n',
  );
program.runInThisContext()(require, pathToFileURL(__filename).href);
