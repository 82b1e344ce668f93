import type { KernelLine, KernelWord } from '../kernel-line.js';
import type { Diagnostic } from '../diagnostic.js';
import { quote } from '../display-text.js';
import { kernelDocumentWord } from '../delivery/kernel-line-source.js';

/** The word that pins the document of the kernel line. */
export const kernelPinWord: string = 'agent.config_digest';

/** What the kernel line says of a document of its own. */
export type KernelPin =
  | {
      readonly ok: true;
      /** The document's word, if there is one. */
      readonly document: KernelWord | undefined;
      /** `sha256:` and 64 hex digits. */
      readonly pin: string | undefined;
    }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** Reads `agent.config_digest=`; a word that cannot mean anything, or could mean two things, is an error. */
export function readKernelPin(kernel: KernelLine): KernelPin {
  const document = kernel.words.find(({ name }) => name === kernelDocumentWord);
  const pins = kernel.words.filter(({ name }) => name === kernelPinWord);
  const diagnostics: Diagnostic[] = [];
  const [first, second] = pins;
  const refuse = (word: KernelWord, message: string, help: string): void => {
    diagnostics.push(kernel.source.error(word.span, message, help));
  };
  if (second !== undefined)
    refuse(second, `${kernelPinWord} stands on the kernel line twice`, 'keep one of the two');
  if (first !== undefined && !/^sha256:[0-9a-f]{64}$/.test(first.value ?? ''))
    refuse(
      first,
      notAPin(first),
      `write ${kernelPinWord}=sha256: and the 64 hex digits of the document's digest`,
    );
  if (first !== undefined && document === undefined)
    refuse(
      first,
      `${kernelPinWord} pins a document that does not come: there is no ${kernelDocumentWord}`,
      'remove it, or was the kernel line cut off?',
    );
  return diagnostics.length === 0 ? { ok: true, document, pin: first?.value } : { ok: false, diagnostics };
}

function notAPin({ value }: KernelWord): string {
  const found = value === undefined ? 'has no value' : `is ${quote(value)}`;
  return `${kernelPinWord} ${found}, which is no digest`;
}
