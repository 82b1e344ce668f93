import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Diagnostic } from '../index.js';
import { renderDiagnostic } from '../index.js';

function at(sourceLine: string, column: number, endColumn: number): Diagnostic {
  const span = { file: 'f', line: 1, column, endColumn };
  return { severity: 'error', code: 'KA1003', message: 'm', span, sourceLine };
}

/** The text above the carets, by cells, and the carets. */
function marked(diagnostic: Diagnostic): string {
  const [, line = '', carets = ''] = renderDiagnostic(diagnostic).split('\n');
  assert.equal(line.slice(0, 2), '  ');
  return `${line.slice(2)}|${carets.slice(2)}`;
}

test('carets align below tabs, wide, combining and invisible characters', () => {
  assert.equal(marked(at('\tab', 2, 3)), '  ab|  ^');
  assert.equal(marked(at('漢字ab', 3, 4)), '漢字ab|    ^');
  assert.equal(marked(at('漢字ab', 1, 3)), '漢字ab|^^^^');
  assert.equal(marked(at('\u{1f600}b', 2, 3)), '\u{1f600}b|  ^');
  assert.equal(marked(at('e\u0301b', 3, 4)), 'e\u0301b| ^');
  assert.equal(marked(at('\u202eab', 2, 3)), '\\u{202e}ab|        ^');
  assert.equal(marked(at('\u001b[31mx', 6, 7)), '\\u{1b}[31mx|          ^');
});

test('a caret at the end of a line, or of an empty one, is shown', () => {
  assert.equal(marked(at('ab', 3, 4)), 'ab|  ^');
  assert.equal(marked(at('', 1, 2)), '|^');
});

test('a long line is shortened around the caret', () => {
  const line = `${'x'.repeat(500)}HERE${'y'.repeat(500)}`;
  const [shown = '', carets = ''] = marked(at(line, 501, 505)).split('|');
  assert.ok(shown.length < 140, String(shown.length));
  assert.equal(shown.slice(carets.indexOf('^'), carets.length), 'HERE');
  assert.ok(shown.startsWith('…') && shown.endsWith('…'));
  const [all = '', under = ''] = marked(at('z'.repeat(400), 1, 401)).split('|');
  assert.ok(all.startsWith('z') && all.endsWith('…'));
  assert.ok(under.length <= all.length);
});

test('warnings are labelled, and diagnostics without a place are rendered', () => {
  assert.match(
    renderDiagnostic({ ...at('ab', 1, 2), severity: 'warning' }),
    /^f:1:1: warning\[KA1003\]: m\n/,
  );
  assert.equal(
    renderDiagnostic({ severity: 'error', code: 'KA1003', message: 'm', help: 'h' }),
    'error[KA1003]: m\nhelp: h',
  );
  assert.equal(renderDiagnostic({ severity: 'warning', code: 'KA1003', message: 'm' }), 'warning[KA1003]: m');
});

test('text of a document cannot control the terminal', () => {
  const hostile = '\u001b[2J\u0007\u009b\u2028\n';
  const span = { file: hostile, line: 1, column: 1, endColumn: 2 };
  const rendered = renderDiagnostic({
    severity: 'error',
    code: 'KA1003',
    message: hostile,
    span,
    sourceLine: hostile,
    help: hostile,
  });
  assert.doesNotMatch(rendered.replaceAll('\n', ''), /[\p{Cc}\p{Zl}]/u);
  assert.equal(rendered.split('\n').length, 4);
});

test('colours are used on request, and change no text', () => {
  const diagnostic = { ...at('ab', 1, 2), help: 'h' };
  const colored = renderDiagnostic(diagnostic, { color: true });
  assert.match(colored, /\u001b\[31;1m/);
  assert.equal(colored.replaceAll(/\u001b\[[\d;]*m/g, ''), renderDiagnostic(diagnostic));
  assert.match(
    renderDiagnostic({ severity: 'warning', code: 'KA1003', message: 'm' }, { color: true }),
    /\u001b\[33;1mwarning/,
  );
});
