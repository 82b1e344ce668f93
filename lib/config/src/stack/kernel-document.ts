import type { Inputs } from '../configuration.js';
import { kernelDocumentWord } from '../delivery/kernel-command-line-source.js';
import type { KernelCommandLine, KernelWord } from '../kernel-command-line.js';
import { type Collected, collectDeliveries } from './collect-deliveries.js';
import { kernelPinWord } from './kernel-pin.js';
import { cannotApply } from './stacked-document.js';

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
