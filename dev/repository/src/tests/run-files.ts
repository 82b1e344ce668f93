// A program: `node run-files.js CONCURRENCY FILE…` runs test files in the order in which they are given, which `node --test` sorts, prints
// what the default reporter of node:test does, and writes the report.
import { createWriteStream } from 'node:fs';
import { PassThrough } from 'node:stream';
import { run } from 'node:test';
import { spec, tap } from 'node:test/reporters';
import { reportFile } from './report-file.js';
import { report } from './reporter.js';

/** The time limit of a test, and of a file. It does not measure speed: what takes this long hangs. */
const timeoutMs = 20 * 60_000;

const [concurrency, ...files] = process.argv.slice(2);
const events = run({ files, concurrency: Number(concurrency), timeout: timeoutMs });
events.on('test:fail', ({ todo }) => {
  if (todo === undefined || todo === false) process.exitCode = 1;
});
const copy = events.pipe(new PassThrough({ objectMode: true }));
// The same choice as the default of Node.js.
const printed = process.stdout.isTTY ? events.compose(new spec()) : events.compose(tap);
printed.pipe(process.stdout);
copy.compose(report).pipe(createWriteStream(reportFile));
