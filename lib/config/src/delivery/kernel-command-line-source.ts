import { type DeliveryRead, type DeliverySource, nothing } from '../delivery.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import { type KernelCommandLine, type KernelWord, parseKernelCommandLine } from '../kernel-command-line.js';
import { isGzip, unzip } from '../document/decode-document.js';

/** The word that contains a document in base64, plain or gzipped. */
export const kernelDocumentWord: string = 'agent.config_b64';

/**
 * Lengths at which Linux silently truncates its command line, without the final NUL (COMMAND_LINE_SIZE): 2047 bytes on
 * x86, arm64 and powerpc, 4095 on s390.
 */
export const kernelCommandLineLimits: readonly number[] = [2047, 4095];

const otherWay = 'deliver it as initdata or by fw_cfg instead: kata-agent-ctl config digest FILE prints both';

/** Reads `agent.config_b64=` from the text of /proc/cmdline. */
export function kernelCommandLineSource(text: string): DeliverySource {
  return { name: 'kernel_line', collect: () => collect(text) };
}

function collect(text: string): DeliveryRead {
  const kernel = parseKernelCommandLine(text);
  const [word, second] = kernel.words.filter(({ name }) => name === kernelDocumentWord);
  if (word === undefined) return nothing;
  if (second !== undefined) {
    const message = `${kernelDocumentWord} is on the kernel command line twice`;
    return refuse('KA1504', kernel, second, message, 'keep one of the two');
  }
  const length = Buffer.byteLength(text.trimEnd());
  if (kernelCommandLineLimits.includes(length) && kernel.words.at(-1) === word) {
    const message = `${kernelDocumentWord} ends where the kernel truncates its command line (${length} bytes), so it may be truncated`;
    return refuse('KA1703', kernel, word, message, otherWay);
  }
  const bytes = decodeBase64(word.value ?? '');
  if (bytes === undefined) {
    const message = `${kernelDocumentWord} is not base64, or is truncated`;
    return refuse(
      'KA1703',
      kernel,
      word,
      message,
      `the kernel keeps ${kernelCommandLineLimits[0]} bytes of its command line; ${otherWay}`,
    );
  }
  if (!isGzip(bytes)) return document(bytes);
  const unzipped = unzip(bytes);
  if (unzipped.ok) return document(unzipped.bytes);
  return refuse(
    'KA1703',
    kernel,
    word,
    `${kernelDocumentWord} cannot be unpacked: ${unzipped.reason}`,
    otherWay,
  );
}

function document(bytes: Uint8Array): DeliveryRead {
  return {
    ok: true,
    documents: [{ file: kernelDocumentWord, bytes, envelope: bytes, algorithm: 'sha-256' }],
  };
}

/** Strict: Buffer skips invalid characters, and so would ignore damage. */
function decodeBase64(text: string): Uint8Array | undefined {
  if (text === '' || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? new Uint8Array(bytes) : undefined;
}

function refuse(
  code: Diagnostic['code'],
  kernel: KernelCommandLine,
  word: KernelWord,
  message: string,
  help: string,
): DeliveryRead {
  return { ok: false, diagnostics: [kernel.source.error(code, word.span, message, help)] };
}
