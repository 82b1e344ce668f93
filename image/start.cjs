// The first file that Node.js reads in a guest. The agent is beside it as one file, and as what V8 made of that when the
// image was built: a guest does not compile again. V8 takes its own work back only for a text of that length, from the same
// release, under the same flags; both files are in the image, and measured with it.
//
// It is CommonJS, since for a module Node.js first has to start its loader of modules.
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
    'kata-agent: it was compiled by another Node.js than this one, and is compiled again\n',
  );
program.runInThisContext()(require, pathToFileURL(__filename).href);
