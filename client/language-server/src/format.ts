import { decodeDocument, parseToml } from '@kata-agent/config';
import { spaceExpression } from '@kata-agent/gate/editor';
import type { TextEdit } from 'vscode-languageserver';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { expressionIn, expressionPath } from './document/edited-rule.js';
import { textPlaces } from './document/place.js';

/**
 * Returns the edits that put the usual spaces into the expressions of rules. The TOML around them stays as it is; a document that is
 * not TOML has no edits.
 */
export function format(document: TextDocument): TextEdit[] {
  const text = document.getText();
  const decoded = decodeDocument(Buffer.from(text), document.uri);
  if (!decoded.ok || !parseToml(decoded.source).ok) return [];
  return textPlaces(text, expressionPath).flatMap((place) => {
    const expression = expressionIn(text, place);
    if (expression === undefined) return [];
    const { rule, documentOffset } = expression;
    return spaceExpression(rule.expression).flatMap(({ start, end, text: newText }) => {
      const range = {
        start: document.positionAt(documentOffset(start)),
        end: document.positionAt(documentOffset(end)),
      };
      // A gap with an escape, or with a line break that the text does not have, belongs to the TOML.
      return document.getText(range).trim() === '' && range.start.line === range.end.line
        ? [{ range, newText }]
        : [];
    });
  });
}
