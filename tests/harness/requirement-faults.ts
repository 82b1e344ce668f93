/**
 * What is wrong with a page of requirements: its tables have a row for each id, `| id | what holds | shown by |`, and
 * `shown by` holds links to tests.
 */
export function requirementFaults(
  text: string,
  { ids, isThere }: { readonly ids: readonly string[]; readonly isThere: (path: string) => boolean },
): readonly string[] {
  const faults: string[] = [];
  const rows = new Set<string>();
  for (const [id, holds, shownBy] of rowsOf(text)) {
    if (rows.has(id)) faults.push(`${id} has two rows`);
    rows.add(id);
    const tests = [...shownBy.matchAll(/\[([^\]]*)\]\(([^)]*)\)/g)];
    if (tests.length === 0 && !/not built yet|not shown:/i.test(holds))
      faults.push(`${id} names neither a test nor a reason`);
    for (const [, path = '', link = ''] of tests) {
      if (link !== `../${path}`) faults.push(`${id}: the link of ${path} leads to ${link}`);
      if (!path.endsWith('.test.ts') || !isThere(path)) faults.push(`${id}: there is no test ${path}`);
    }
    const rest = tests.reduce((left, [whole]) => left.replace(whole, ''), shownBy);
    if (rest.replaceAll('<br>', '') !== '') faults.push(`${id}: ${rest} is no link to a test`);
  }
  for (const id of ids) if (!rows.has(id)) faults.push(`${id} has no row`);
  for (const id of rows) if (/^[A-Z]\d/.test(id) && !ids.includes(id)) faults.push(`${id} is no id`);
  return faults;
}

/** The rows of tables whose last column is `shown by`. */
function rowsOf(text: string): readonly (readonly [string, string, string])[] {
  const rows: (readonly [string, string, string])[] = [];
  let shows = false;
  for (const line of text.split('\n')) {
    if (!line.startsWith('| ')) {
      shows = false;
      continue;
    }
    const [, id = '', holds = '', shownBy = ''] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    if (shownBy === 'shown by') shows = true;
    else if (shows && id !== '---') rows.push([id, holds, shownBy]);
  }
  return rows;
}
