import type { Diagnostic, Span } from './diagnostic.js';
import { displayText, type Glyph, glyph } from './display-text.js';

const widest = 100;

/**
 * A diagnostic for people:
 *
 *     config.toml:3:14: message
 *       allowed_endpoints = ["ExecProces"]
 *                            ^^^^^^^^^^^^
 *     help: did you mean "ExecProcess"?
 *
 * Without an end of line after the last one. Control characters of the document are escaped.
 */
export function renderDiagnostic(diagnostic: Diagnostic, options: { readonly color?: boolean } = {}): string {
  const paint = options.color === true ? painted : plain;
  const { severity, message, span, sourceLine, help } = diagnostic;
  const place = span === undefined ? '' : `${displayText(span.file)}:${span.line}:${span.column}: `;
  const kind = severity === 'warning' || span === undefined ? `${severity}: ` : '';
  const lines = [paint(severity, `${place}${kind}`) + displayText(message)];
  if (span !== undefined && sourceLine !== undefined) {
    const excerpt = excerptOf(sourceLine, span);
    lines.push(
      `  ${excerpt.line}`,
      `  ${' '.repeat(excerpt.before)}${paint(severity, '^'.repeat(excerpt.under))}`,
    );
  }
  if (help !== undefined) lines.push(`${paint('help', 'help:')} ${displayText(help)}`);
  return lines.join('\n');
}

interface Excerpt {
  readonly line: string;
  readonly before: number;
  readonly under: number;
}

/** The part of a line around its span, with the cells that come before the span and those that it takes. */
function excerptOf(sourceLine: string, span: Span): Excerpt {
  const characters = Array.from(sourceLine);
  const start = Math.min(span.column - 1, characters.length);
  const end = Math.min(Math.max(span.endColumn - 1, start + 1), start + widest);
  const from = end > widest ? Math.max(0, start - widest / 4) : 0;
  const to = Math.min(characters.length, from + widest + widest / 4);
  const shown = characters.slice(from, to).map(glyph);
  const cells = (part: readonly Glyph[]): number => part.reduce((sum, glyph) => sum + glyph.cells, 0);
  const lead = from > 0 ? '…' : '';
  const tail = to < characters.length ? '…' : '';
  return {
    line: `${lead}${shown.map((glyph) => glyph.text).join('')}${tail}`,
    before: lead.length + cells(shown.slice(0, start - from)),
    under: Math.max(1, cells(shown.slice(start - from, end - from))),
  };
}

type Paint = (tone: Diagnostic['severity'] | 'help', text: string) => string;

const tones: { readonly [T in Parameters<Paint>[0]]: string } = {
  error: '31;1',
  warning: '33;1',
  help: '36;1',
};

function painted(tone: Parameters<Paint>[0], text: string): string {
  return text === '' ? '' : `\u001b[${tones[tone]}m${text}\u001b[0m`;
}

function plain(_tone: Parameters<Paint>[0], text: string): string {
  return text;
}
