import type { CompletionItem, Diagnostic } from 'vscode-languageserver';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { complete } from './complete.js';
import { diagnose } from './diagnose.js';

// The answers of the language server for a text that no client has opened, with offsets in UTF-16 code units for positions.

/** An error or warning, and the part of the text that it is about. */
export interface OffsetDiagnostic {
  readonly from: number;
  readonly to: number;
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

/** What can be written instead of the part of the text from `from` to `to`. */
export interface OffsetCompletion {
  readonly from: number;
  readonly to: number;
  readonly label: string;
  readonly insert: string;
  readonly detail?: string;
  readonly doc?: string;
}

export async function diagnoseText(text: string): Promise<readonly OffsetDiagnostic[]> {
  const document = documentOf(text);
  return (await diagnose(document)).map(({ range, severity, code, message }) => ({
    from: document.offsetAt(range.start),
    to: document.offsetAt(range.end),
    severity: severity === 1 ? 'error' : 'warning',
    message: `${code ?? ''} ${plain(message)}`,
  }));
}

export function completeText(text: string, offset: number): readonly OffsetCompletion[] {
  const document = documentOf(text);
  return complete(document, document.positionAt(offset)).map((item) => {
    const { label, detail, textEdit } = item;
    const range =
      textEdit === undefined ? undefined : 'range' in textEdit ? textEdit.range : textEdit.replace;
    const doc = docOf(item);
    return {
      from: range === undefined ? offset : document.offsetAt(range.start),
      to: range === undefined ? offset : document.offsetAt(range.end),
      label,
      insert: textEdit?.newText ?? label,
      ...(detail === undefined ? {} : { detail }),
      ...(doc === undefined ? {} : { doc }),
    };
  });
}

function documentOf(text: string): TextDocument {
  return TextDocument.create('untitled:configuration', 'toml', 0, text);
}

function docOf({ documentation }: CompletionItem): string | undefined {
  return typeof documentation === 'string' ? documentation : documentation?.value;
}

function plain(message: Diagnostic['message']): string {
  return typeof message === 'string' ? message : message.value;
}
