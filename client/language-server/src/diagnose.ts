import { fileURLToPath } from 'node:url';
import { checkDocument, type Diagnostic as Found, type Span } from '@kata-agent/config';
import { type Diagnostic, DiagnosticSeverity, type Range } from 'vscode-languageserver';
import type { TextDocument } from 'vscode-languageserver-textdocument';

/**
 * Returns the errors and warnings that `kata-agent-ctl config check` reports for the text of a document. Reads no file.
 *
 * @param codesPage the page with a section for each code; undefined: diagnostics have no link.
 */
export async function diagnose(document: TextDocument, codesPage?: URL): Promise<Diagnostic[]> {
  const { diagnostics } = await checkDocument(Buffer.from(document.getText()), nameOf(document.uri), {
    rules: async () => (await import('@kata-agent/gate/rules')).createRuleChecker(),
  });
  return diagnostics.map((found) => diagnosticOf(found, document, codesPage));
}

function diagnosticOf(found: Found, document: TextDocument, codesPage: URL | undefined): Diagnostic {
  const { severity, code, message, help, span } = found;
  return {
    range: rangeOf(span, document),
    severity: severity === 'error' ? DiagnosticSeverity.Error : DiagnosticSeverity.Warning,
    source: 'kata-agent',
    code,
    ...(codesPage === undefined
      ? {}
      : { codeDescription: { href: new URL(`#${code.toLowerCase()}`, codesPage).href } }),
    message: help === undefined ? message : `${message}\nhelp: ${help}`,
  };
}

/** Returns the range of a span, whose columns are code points; the beginning of the document without one. */
function rangeOf(span: Span | undefined, document: TextDocument): Range {
  const text = document.getText();
  if (span === undefined) return { start: document.positionAt(0), end: document.positionAt(0) };
  let lineStart = 0;
  for (let line = 1; line < span.line; line += 1) lineStart = text.indexOf('\n', lineStart) + 1;
  // As far as the span at most: a line can be long.
  const characters = Array.from(text.slice(lineStart, lineStart + 2 * span.endColumn).replace(/\n.*$/s, ''));
  const offset = (column: number): number => lineStart + characters.slice(0, column - 1).join('').length;
  return {
    start: document.positionAt(offset(span.column)),
    end: document.positionAt(offset(span.endColumn)),
  };
}

/** Returns the path of a file; of a document without a file, such as `untitled:1`, its URI. */
function nameOf(uri: string): string {
  try {
    return fileURLToPath(uri);
  } catch {
    return uri;
  }
}
