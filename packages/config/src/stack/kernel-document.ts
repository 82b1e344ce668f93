import type { Inputs } from '../configuration.js';
import { kernelDocumentWord } from '../delivery/kernel-line-source.js';
import type { KernelLine, KernelWord } from '../kernel-line.js';
import { type Collected, collectDeliveries } from './collect-deliveries.js';
import { kernelPinWord } from './kernel-pin.js';
import { cannotApply } from './stacked-document.js';

const asked = { accept: ['kernel_line'], required: true, dropInDir: '/' } as const;

/**
 * The document of a measured kernel line, for a guest without a base document: it takes the base's place. Nothing
 * vouches for it but the digest beside it, so that is required.
 */
export function kernelDocument(
  word: KernelWord,
  pin: string | undefined,
  inputs: Pick<Inputs, 'delivery' | 'hostData'>,
  kernel: KernelLine,
): Collected {
  if (pin === undefined) {
    // The kernel may have cut its line before the digest: then that is the mistake to tell.
    const cut = collectDeliveries({ ...asked, bind: 'none' }, inputs, undefined);
    if (!cut.ok) return cut;
    const message = `${kernelDocumentWord} brings a document that nothing vouches for: there is no base document, and no ${kernelPinWord}`;
    const help = `add ${kernelPinWord}=sha256:… as kata-agent-ctl config digest FILE prints it`;
    return cannotApply([kernel.source.error(word.span, message, help)]);
  }
  return collectDeliveries({ ...asked, bind: pin }, inputs, undefined);
}
