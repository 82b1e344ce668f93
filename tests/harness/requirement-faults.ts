/**
 * Returns the faults of a page of requirements: its tables must have a row for each id, `| id | guarantee | verified by |`,
 * and `verified by` must have links to tests.
 */
export function requirementFaults(
  text: string,
  { ids, exists }: { readonly ids: readonly string[]; readonly exists: (path: string) => boolean },
): readonly string[] {
  const faults: string[] = [];
  const rows = new Set<string>();
  for (const [id, guarantee, verifiedBy] of rowsOf(text)) {
    if (rows.has(id)) faults.push(`${id} has two rows`);
    rows.add(id);
    const tests = [...verifiedBy.matchAll(/\[([^\]]*)\]\(([^)]*)\)/g)];
    if (tests.length === 0 && !/not built yet|not shown:/i.test(guarantee))
      faults.push(`${id} names neither a test nor a reason`);
    for (const [, path = '', link = ''] of tests) {
      if (link !== `../${path}`) faults.push(`${id}: the link of ${path} leads to ${link}`);
      if (!path.endsWith('.test.ts') || !exists(path)) faults.push(`${id}: there is no test ${path}`);
    }
    const rest = tests.reduce((left, [whole]) => left.replace(whole, ''), verifiedBy);
    if (rest.replaceAll('<br>', '') !== '') faults.push(`${id}: ${rest} is not a link to a test`);
  }
  for (const id of ids) if (!rows.has(id)) faults.push(`${id} has no row`);
  for (const id of rows) if (/^[A-Z]\d/.test(id) && !ids.includes(id)) faults.push(`${id} is not an id`);
  return faults;
}

/**
 * Returns ids without a row, or with several, in the table `| id | asked for by | what it says | ours |`, and rows with
 * an empty cell.
 */
export function originFaults(text: string, ids: readonly string[]): readonly string[] {
  const table = /^\| id \| asked for by \|.*\n\| --- .*\n((?:\| .*\n)*)/m.exec(text)?.[1] ?? '';
  const rows = table
    .split('\n')
    .filter((line) => line !== '')
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim())
        .slice(1, -1),
    );
  return [
    ...ids.flatMap((id) => {
      const count = rows.filter(([first]) => first === id).length;
      return count === 1 ? [] : [`${id} has ${count} rows that say where it comes from`];
    }),
    ...rows.flatMap(([id = '', ...cells]) => [
      ...(ids.includes(id) ? [] : [`${id} is not an id`]),
      ...(cells.length === 3 && cells.every((cell) => cell !== '')
        ? []
        : [`${id} does not say where it comes from`]),
    ]),
  ];
}

/** The rows of tables whose last column is `verified by`. */
function rowsOf(text: string): readonly (readonly [string, string, string])[] {
  const rows: (readonly [string, string, string])[] = [];
  let shows = false;
  for (const line of text.split('\n')) {
    if (!line.startsWith('| ')) {
      shows = false;
      continue;
    }
    const [, id = '', guarantee = '', verifiedBy = ''] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    if (verifiedBy === 'verified by') shows = true;
    else if (shows && id !== '---') rows.push([id, guarantee, verifiedBy]);
  }
  return rows;
}
