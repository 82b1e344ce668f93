import type { DeliveryRead, DeliverySource } from '../configuration.js';
import { type KernelLine, type KernelWord, parseKernelLine } from '../kernel-line.js';
import { nothing } from './undelivered.js';
import { isGzip, unzip } from './unzip.js';

/** The word that holds a document in base64, as it is or in gzip. */
export const kernelDocumentWord: string = 'agent.config_b64';

/**
 * What Linux keeps of its command line, without the final NUL (COMMAND_LINE_SIZE): 2047 bytes on x86, arm64 and
 * powerpc, 4095 on s390. What is longer is cut there without a word.
 */
export const kernelLineLimits: readonly number[] = [2047, 4095];

const otherWay = 'deliver it as initdata or by fw_cfg instead: kata-agent-ctl config digest FILE prints both';

/** `agent.config_b64=` on the kernel command line, given as the text of /proc/cmdline. */
export function kernelLineSource(text: string): DeliverySource {
  return { name: 'kernel_line', collect: () => collect(text) };
}

function collect(text: string): DeliveryRead {
  const kernel = parseKernelLine(text);
  const [word, second] = kernel.words.filter(({ name }) => name === kernelDocumentWord);
  if (word === undefined) return nothing;
  if (second !== undefined) {
    const message = `${kernelDocumentWord} stands on the kernel line twice`;
    return refuse(kernel, second, message, 'keep one of the two: which of them counts must not be a guess');
  }
  const length = Buffer.byteLength(text.trimEnd());
  if (kernelLineLimits.includes(length) && kernel.words.at(-1) === word) {
    const message = `${kernelDocumentWord} ends where the kernel cuts its command line (${length} bytes): it cannot be told from one that was cut off`;
    return refuse(kernel, word, message, otherWay);
  }
  const bytes = decodeBase64(word.value ?? '');
  if (bytes === undefined) {
    const message = `${kernelDocumentWord} is not base64, or was cut off`;
    return refuse(
      kernel,
      word,
      message,
      `the kernel keeps ${kernelLineLimits[0]} bytes of its command line; ${otherWay}`,
    );
  }
  if (!isGzip(bytes)) return document(bytes);
  const unzipped = unzip(bytes);
  if (unzipped.ok) return document(unzipped.bytes);
  return refuse(kernel, word, `${kernelDocumentWord} cannot be unpacked: ${unzipped.reason}`, otherWay);
}

function document(bytes: Uint8Array): DeliveryRead {
  return {
    ok: true,
    documents: [{ file: kernelDocumentWord, bytes, envelope: bytes, algorithm: 'sha-256' }],
  };
}

/** Strictly: Buffer skips what it does not know, and so would read on over a damaged place. */
function decodeBase64(text: string): Uint8Array | undefined {
  if (text === '' || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? new Uint8Array(bytes) : undefined;
}

function refuse(kernel: KernelLine, word: KernelWord, message: string, help: string): DeliveryRead {
  return { ok: false, diagnostics: [kernel.source.error(word.span, message, help)] };
}
