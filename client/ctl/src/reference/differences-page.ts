import { methodNames } from '@kata-agent/catalogue';
import { type Difference, differences, type Part } from '@kata-agent/catalogue/differences';
import { code, markdownTable, pageHead } from './markdown.js';

const titles: Readonly<Record<Part, string>> = {
  configuration: 'Configuration',
  'every method': 'Every method',
  start: 'The start',
  containers: 'Containers',
  'side channels': 'Side channels',
  guest: 'The guest',
};

type Row = readonly [id: string, difference: Difference];

/** docs/reference/differences.md */
export function differencesPage(): string {
  const rows: readonly Row[] = [...differences];
  const ofParts = Object.entries(titles).map(([part, title]) =>
    section(
      title,
      rows.filter(([, { of }]) => of === part),
    ),
  );
  const ofMethods = methodNames.map((method) =>
    section(
      code(method),
      rows.filter(([, { of }]) => typeof of !== 'string' && of[0] === method),
    ),
  );
  return [
    pageHead('Differences from Kata’s agent', 'lib/catalogue/src/differences'),
    '\nHow this agent differs on purpose from the agent of Kata Containers (4.1.0). Everything else is meant to be the same: ',
    'names, numbers and types on the wire, the order of calls, and the codes and texts that runtimes look for. ',
    'A difference that is not in these tables is a defect. [Kata’s own tests](../records/kata-tests.md) lists their results with this agent.\n',
    '\nAn id is stable. A difference of several methods is at the first of them, which names the others. ',
    'The last column has the tests that show what is here.\n',
    ...ofParts,
    ...ofMethods,
    '\n## Not built yet\n\n',
    '- Settings marked so in [settings](settings.md): one of Kata’s causes a warning if it is not set to its default.\n',
    '- Traces (OpenTelemetry).\n',
    '- `vfio-pci`, `vfio-pci-gk` and CDI were tested on made-up trees of sysfs: there was no such hardware.\n',
    '\n## Not planned\n\n',
    '- `ListProcesses`, `StartTracing` and `StopTracing`, which Kata removed as well.\n',
  ].join('');
}

function section(title: string, rows: readonly Row[]): string {
  if (rows.length === 0) return '';
  const table = markdownTable(
    ['id', 'Kata’s agent', 'here', 'why', 'noticed by', 'shown by'],
    rows.map(([id, { of, kata, ours, why, noticedBy, test, also = [] }]) => [
      code(id),
      kata,
      typeof of === 'string' || of.length === 1 ? ours : `${ours} Also: ${of.slice(1).map(code).join(', ')}.`,
      why,
      noticedBy,
      [test, ...also].map(([file, name]) => `[${name}](../../${file}.test.ts)`).join('; '),
    ]),
  );
  return `\n## ${title}\n\n${table}`;
}
