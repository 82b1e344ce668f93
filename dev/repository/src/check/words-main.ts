// Fails if a name, comment, message or document has a word that docs/glossary.md excludes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { repositoryFiles } from './repository-files.js';
import { wordFaults, wordFaultText } from './words.js';

const paths = repositoryFiles('*.ts', '*.mjs', '*.md', '*.toml', '*.proto');
const faults = wordFaults(new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')])));
for (const fault of faults) console.error(wordFaultText(fault));
process.exit(faults.length === 0 ? 0 : 1);
