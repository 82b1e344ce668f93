// Fails if a name, comment, message or document has a word that docs/glossary.md excludes.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { wordFaults, wordFaultText } from './words.js';

const kinds = ['*.ts', '*.mjs', '*.md', '*.toml', '*.proto'];
const listed = spawnSync(
  'git',
  ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...kinds],
  {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  },
);
if (listed.status !== 0) throw new Error(`git ls-files failed: ${listed.stderr}`);
const paths = listed.stdout.split('\0').filter((path) => path !== '' && existsSync(join(root, path)));
const faults = wordFaults(new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')])));
for (const fault of faults) console.error(wordFaultText(fault));
process.exit(faults.length === 0 ? 0 : 1);
