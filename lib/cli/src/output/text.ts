import type { Trust } from '@kata-agent/audit';
import type { Io, Output } from '../command/io.js';
import { cellText } from './plain-output.js';

/**
 * Renders columns, each as wide as its widest cell, separated by two spaces; the last one is not padded. The first
 * row is the heading. No cell begins a line. `decorate` styles a padded cell and must keep its width.
 */
export function renderTable(
  texts: readonly (readonly string[])[],
  decorate: (padded: string, row: number, column: number) => string = (padded) => padded,
): string {
  const rows = texts.map((row) => row.map(cellText));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  return rows
    .map((row, index) => {
      const last = row.length - 1;
      const cells = row.map((cell, column) =>
        decorate(column === last ? cell : cell.padEnd(widths[column] ?? 0), index, column),
      );
      return `${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** Formats a number of bytes for people: `512 B`, `1.5 MiB`. */
export function formatBytes(bytes: bigint): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** Wraps a paragraph at spaces into lines of at most `width` characters, each with `indent` before it. */
export function wrap(paragraph: string, width: number, indent = ''): string {
  const lines: string[] = [];
  let line = '';
  for (const word of paragraph.split(/\s+/)) {
    if (line !== '' && indent.length + line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.map((text) => `${indent}${text}\n`).join('');
}

/** Text styles. Without colour each returns its text unchanged. */
export interface Style {
  readonly enabled: boolean;
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

/** Colour is for terminals, unless NO_COLOR is set (https://no-color.org). */
export function styleFor(stream: Output, environment: Io['environment']): Style {
  const refused = (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb';
  const enabled = stream.isTTY === true && !refused;
  const set =
    (on: number, off: number) =>
    (text: string): string =>
      enabled ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return {
    enabled,
    bold: set(1, 22),
    dim: set(2, 22),
    red: set(31, 39),
    green: set(32, 39),
    yellow: set(33, 39),
  };
}

/** Describes what a checkpoint proves, in the words of docs/trust.md, "The audit log". */
export function trustText(trust: Trust): string {
  switch (trust.kind) {
    case 'evidence':
      return 'bound by evidence';
    case 'witnesses':
      return `cosigned by ${trust.count} ${trust.count === 1 ? 'witness' : 'witnesses'}`;
    case 'pinned':
      return 'pinned by the caller';
    case 'self-signed':
      return 'self-signed only';
  }
}
