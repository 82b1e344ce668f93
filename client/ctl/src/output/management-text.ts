import { managementEndpoints, type ManagementMethod } from '@kata-agent/catalogue';
import { renderTable, type Style, wrap } from '@kata-agent/cli';

/** Returns one line for each method of the management service. */
export function managementTable(names: readonly ManagementMethod[], style: Style): string {
  const rows = names.map((name) => [name, managementEndpoints[name].purpose]);
  return renderTable([['MANAGEMENT', 'PURPOSE'], ...rows], (cell, row) =>
    row === 0 ? style.bold(cell) : cell,
  );
}

/** Returns the documentation of one method of the management service. */
export function managementPage(name: ManagementMethod, width: number, style: Style): string {
  const { purpose, exposure } = managementEndpoints[name];
  const section = (title: string, text: string): string =>
    `\n${style.bold(title)}\n${wrap(text, width, '  ')}`;
  return [
    `${style.bold(name)}\n${wrap(purpose, width, '  ')}`,
    section('Exposure to a hostile peer', exposure),
    section('To serve it', `management = ["${name}"] of a [[listener]]; no list of endpoints includes it`),
  ].join('');
}
