// A program: fails for a path of this repository that code names, and that does not exist.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { missingPaths } from './paths.js';
import { repositoryFiles } from './repository-files.js';

const files = repositoryFiles();
// The tests of this package are about files that do not exist.
const read = files.filter(
  (file) => /\.(?:ts|mjs|cjs)$/.test(file) && !/^dev\/repository\/.*\.test\.ts$/.test(file),
);
const missing = missingPaths(
  new Map(read.map((file) => [file, readFileSync(join(root, file), 'utf8')])),
  new Set(files),
);
for (const { file, line, path } of missing) console.error(`${file}:${line}: ${path} does not exist`);
process.exit(missing.length === 0 ? 0 : 1);
