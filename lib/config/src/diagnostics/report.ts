import type { DiagnosticCode } from '@kata-agent/catalogue/codes';
import type { Diagnostic, SourceText, Span } from './diagnostic.js';
import { displayText, type Glyph, glyph } from './display-text.js';

const widest = 100;

const tones: { readonly [T in Parameters<Paint>[0]]: string } = {
  error: '31;1',
  warning: '33;1',
  help: '36;1',
};

// Limit for hostile texts, which could cause thousands of diagnostics.
const max = 100;

/** Collects the diagnostics of one text, so that all are reported at once. */
export class Report {
  readonly source: SourceText;
  readonly #diagnostics: Diagnostic[] = [];

  constructor(source: SourceText) {
    this.source = source;
  }

  error(code: DiagnosticCode, span: Span, message: string, help?: string): void {
    this.#add(this.source.error(code, span, message, help));
  }

  warning(code: DiagnosticCode, span: Span, message: string, help?: string): void {
    this.#add(this.source.warning(code, span, message, help));
  }

  /** The limit is reached, which is itself an error: the caller may stop, and the text is rejected. */
  get full(): boolean {
    return this.#diagnostics.length > max;
  }

  get failed(): boolean {
    return this.#diagnostics.some(({ severity }) => severity === 'error');
  }

  /** The diagnostics in the order of the text. */
  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics.toSorted(
      (a, b) => (a.span?.line ?? 0) - (b.span?.line ?? 0) || (a.span?.column ?? 0) - (b.span?.column ?? 0),
    );
  }

  #add(diagnostic: Diagnostic): void {
    if (this.#diagnostics.length < max) this.#diagnostics.push(diagnostic);
    else if (!this.full) {
      const message = `there are more than ${max} errors: the rest is not shown`;
      this.#diagnostics.push({
        ...diagnostic,
        severity: 'error',
        code: 'KA1007',
        message,
        help: 'fix these first',
      });
    }
  }
}

/**
 * Renders a diagnostic:
 *
 *     config.toml:3:14: error[KA1201]: message
 *       allowed_endpoints = ["ExecProces"]
 *                            ^^^^^^^^^^^^
 *     help: did you mean "ExecProcess"?
 *
 * Without a final newline. Control characters of the document are escaped.
 */
export function renderDiagnostic(diagnostic: Diagnostic, options: { readonly color?: boolean } = {}): string {
  const paint = options.color === true ? painted : plain;
  const { severity, code, message, span, sourceLine, help } = diagnostic;
  const place = span === undefined ? '' : `${displayText(span.file)}:${span.line}:${span.column}: `;
  const lines = [paint(severity, `${place}${severity}[${code}]: `) + displayText(message)];
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

/** Returns the part of a line around its span, with the number of cells before the span and in it. */
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

function painted(tone: Parameters<Paint>[0], text: string): string {
  return text === '' ? '' : `\u001b[${tones[tone]}m${text}\u001b[0m`;
}

function plain(_tone: Parameters<Paint>[0], text: string): string {
  return text;
}
