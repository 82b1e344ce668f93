// `npm run check`: runs all checks of formats, lint, dead code, dependency direction, import cycles, paths, words,
// package ttrpc and generated files. Fails if any of them fails. Also prints ends of support, which do not make it
// fail.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '@kata-agent/setup/bootstrap';
import { calendar, evaluateCalendar } from '../support/calendar.js';

const direction = fileURLToPath(new URL('direction.js', import.meta.url));
const hostMedia = fileURLToPath(new URL('host-media.js', import.meta.url));
const words = fileURLToPath(new URL('words-main.js', import.meta.url));
const paths = fileURLToPath(new URL('paths-main.js', import.meta.url));
const importCycles = fileURLToPath(new URL('import-cycles.js', import.meta.url));
const checks: readonly [title: string, command: string, args: readonly string[]][] = [
  ['format', 'npx', ['biome', 'format', '.']],
  ['lint', 'npx', ['oxlint', '--type-aware', '--deny-warnings', '.']],
  ['dead code', 'npx', ['knip']],
  ['dependency direction', process.execPath, [direction]],
  ['import cycles', process.execPath, [importCycles]],
  ['paths in code', process.execPath, [paths]],
  ['words', process.execPath, [words]],
  ['waits for the host', process.execPath, [hostMedia]],
  ['package ttrpc', 'npx', ['publint', '--strict', 'lib/ttrpc']],
  ['types of ttrpc', 'npx', ['attw', '--pack', 'lib/ttrpc', '--profile', 'esm-only']],
  ['generated files', process.execPath, [join(root, 'scripts', 'generate.mjs'), '--check']],
];
let failed = 0;
for (const [title, command, args] of checks) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
  const passed = result.status === 0;
  console.error(`${passed ? '✓' : '✗'} ${title}`);
  if (!passed) console.error(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`);
  failed += passed ? 0 : 1;
}
// Printed only: `npm run support` fails for these. A commit that passed must not fail because a day has passed.
const { failures, warnings } = evaluateCalendar(calendar, new Date().toISOString().slice(0, 10));
for (const text of [...failures, ...warnings].map(String)) console.error(`! ${text}`);
process.exit(failed === 0 ? 0 : 1);
