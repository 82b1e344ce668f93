// `npm run check`: format, lint, types, dead code, dependency direction, generated files. All are run; one failure fails.
// Ends of support are told as well.
import { spawnSync } from 'node:child_process';
import { bootstrap, root } from './bootstrap.mjs';
import { calendar, judgeCalendar } from './support-calendar.mjs';

bootstrap('demo');
const checks = [
  ['format', 'npx', ['biome', 'format', '.']],
  ['lint', 'npx', ['oxlint', '--type-aware', '--deny-warnings', '.']],
  ['dead code', 'npx', ['knip']],
  ['dependency direction', process.execPath, ['scripts/check-direction.mjs']],
  ['package ttrpc', 'npx', ['publint', '--strict', 'packages/ttrpc']],
  ['types of ttrpc', 'npx', ['attw', '--pack', 'packages/ttrpc', '--profile', 'esm-only']],
  ['generated files', process.execPath, ['scripts/generate.mjs', '--check']],
];
let failed = 0;
for (const [title, command, args] of checks) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
  const fine = result.status === 0;
  console.error(`${fine ? '✓' : '✗'} ${title}`);
  if (!fine) console.error(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`);
  failed += fine ? 0 : 1;
}
// Said, and no failure: `npm run support` fails by it. A commit does not go wrong since a day has passed.
const { failures, warnings } = judgeCalendar(calendar, new Date().toISOString().slice(0, 10));
for (const text of [...failures, ...warnings].map(String)) console.error(`! ${text}`);
process.exit(failed === 0 ? 0 : 1);
