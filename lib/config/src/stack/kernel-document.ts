import type { Inputs } from '../configuration.js';
import { kernelDocumentWord } from '../delivery/kernel-command-line-source.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import type { KernelCommandLine, KernelWord } from '../kernel-command-line.js';
import { type Collected, collectDeliveries } from './collect-deliveries.js';
import { cannotApply } from './stacked-document.js';

/** The word that pins the document of the kernel command line. */
export const kernelPinWord: string = 'agent.config_digest';

const asked = {
  accept: ['kernel_line'],
  required: true,
  dropInDir: '/',
  unusedInitdata: 'refuse',
  maySet: [],
} as const;

/**
 * Reads the document of a measured kernel command line as the base, in a guest without one. Only the digest next to it
 * authenticates it, so that is required.
 */
export async function kernelDocument(
  word: KernelWord,
  pin: string | undefined,
  inputs: Pick<Inputs, 'delivery' | 'hostData'>,
  kernel: KernelCommandLine,
): Promise<Collected> {
  if (pin === undefined) {
    // The kernel may have truncated its command line before the digest; that is the error to report then.
    const cut = await collectDeliveries({ ...asked, bind: 'none' }, inputs, undefined);
    if (!cut.ok) return cut;
    const message = `${kernelDocumentWord} delivers a document that is not bound: there is no base document, and no ${kernelPinWord}`;
    const help = `add ${kernelPinWord}=sha256:… as kata-agent-ctl config digest FILE prints it`;
    return cannotApply([kernel.source.error('KA1708', word.span, message, help)]);
  }
  return collectDeliveries({ ...asked, bind: pin }, inputs, undefined);
}

/** A document on the kernel command line and its pin. */
type KernelPin =
  | {
      readonly ok: true;
      /** The word with the document, if there is one. */
      readonly document: KernelWord | undefined;
      /** `sha256:` and 64 hex digits. */
      readonly pin: string | undefined;
    }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** Parses `agent.config_digest=`; an invalid or ambiguous word is an error. */
export function readKernelPin(kernel: KernelCommandLine): KernelPin {
  const document = kernel.words.find(({ name }) => name === kernelDocumentWord);
  const pins = kernel.words.filter(({ name }) => name === kernelPinWord);
  const diagnostics: Diagnostic[] = [];
  const [first, second] = pins;
  const refuse = (code: Diagnostic['code'], word: KernelWord, message: string, help: string): void => {
    diagnostics.push(kernel.source.error(code, word.span, message, help));
  };
  if (second !== undefined)
    refuse('KA1504', second, `${kernelPinWord} is on the kernel command line twice`, 'keep one of the two');
  if (first !== undefined && !/^sha256:[0-9a-f]{64}$/.test(first.value ?? ''))
    refuse(
      'KA1503',
      first,
      notAPin(first),
      `write ${kernelPinWord}=sha256: and the 64 hex digits of the document's digest`,
    );
  if (first !== undefined && document === undefined)
    refuse(
      'KA1708',
      first,
      `${kernelPinWord} pins a document that is not delivered: there is no ${kernelDocumentWord}`,
      'remove it, or check whether the kernel command line is truncated',
    );
  return diagnostics.length === 0 ? { ok: true, document, pin: first?.value } : { ok: false, diagnostics };
}

function notAPin({ value }: KernelWord): string {
  const found = value === undefined ? 'has no value' : `is ${quote(value)}`;
  return `${kernelPinWord} ${found}, which is not a digest`;
}
