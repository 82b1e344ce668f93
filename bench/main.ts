// `npm run bench [-- --quick] [--format json] [--only calls|decision|rules|startup|container|hostile|waits|boot]`
// `npm run bench -- --profile`: where our server's time goes, instead of how much it is
import { parseArgs } from 'node:util';

import { measureBoot } from './boot.js';
import { measureCalls } from './calls.js';
import { measureContainers } from './container.js';
import { measureDecision } from './decision.js';
import { buildGoPrograms } from './go-programs.js';
import { measureHostilePeers } from './hostile.js';
import { profileCalls } from './profile.js';
import { renderRows } from './render.js';
import { meets, ratio, type Row } from './row.js';
import { measureRules } from './rules.js';
import { measureStartup } from './startup.js';
import { measureWaits } from './waits.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    format: { type: 'string', default: 'text' },
    only: { type: 'string' },
    profile: { type: 'boolean', default: false },
  },
});
const { quick, format, only } = values;

const go = buildGoPrograms();
const parts: Readonly<Record<string, () => Row[] | Promise<Row[]>>> = {
  calls: () => measureCalls(go, quick),
  decision: () => measureDecision(quick),
  rules: () => measureRules(quick),
  startup: () => measureStartup(quick),
  container: () => measureContainers(go, quick),
  hostile: () => measureHostilePeers(quick),
  waits: () => measureWaits(quick),
  boot: () => measureBoot(quick),
};
if (only !== undefined && parts[only] === undefined) {
  console.error(`--only ${only}: known are ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}
if (format !== 'text' && format !== 'json') {
  console.error(`--format ${format}: text or json`);
  process.exit(2);
}

if (values.profile) {
  for (const method of ['WaitProcess', 'ReadStdout']) {
    console.log(`${await profileCalls(go, method, 16)}\n`);
  }
} else await measureAll();

async function measureAll(): Promise<void> {
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(parts)) {
    if (only !== undefined && only !== name) continue;
    console.error(`• ${name}`);
    rows.push(...(await measure()));
  }
  if (format === 'json') {
    console.log(JSON.stringify(rows.map((row) => ({ ...row, ratio: ratio(row), met: meets(row) }))));
  } else console.log(renderRows(rows));
}
