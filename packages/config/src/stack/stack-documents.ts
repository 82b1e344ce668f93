import { type ChosenDocument, chooseBaseDocument } from '../base-document.js';
import type { Inputs, RuleChecker } from '../configuration.js';
import { kernelDocumentWord } from '../delivery/kernel-line-source.js';
import type { Diagnostic } from '../diagnostic.js';
import { type ParseOptions, parseDocument } from '../document/parse-document.js';
import { diagnosticIn, type ParsedDocument } from '../document/parsed-document.js';
import type { KernelLine, KernelWord } from '../kernel-line.js';
import { envelopeDigest } from './bind-document.js';
import { type BoundDocument, type Collected, collectDeliveries } from './collect-deliveries.js';
import { kernelDocument } from './kernel-document.js';
import { readKernelPin } from './kernel-pin.js';
import { readDelivery } from './read-delivery.js';
import { type Refused, type Stacked, type StackedDocument, wrong } from './stacked-document.js';

/**
 * Finds all documents: the base, and those that it asks for. Without a base the kernel line may bring one document,
 * with its digest. Each is bound before it is parsed, and each after the base can only narrow (S25).
 */
export async function stackDocuments(inputs: Inputs, kernel: KernelLine): Promise<Stacked> {
  const chosen = chooseBaseDocument(inputs, kernel);
  if (!chosen.ok) return wrong(chosen.diagnostics);
  const kernelPin = readKernelPin(kernel);
  if (!kernelPin.ok) return wrong(kernelPin.diagnostics);
  const { document: word, pin } = kernelPin;
  const options = { handlers: inputs.handlers, rules: once(inputs.rules) };

  const base = await readBase(chosen.document, word, pin, { inputs, kernel, options });
  if (base === undefined) return { ok: true, documents: [], warnings: [] };
  if (!base.ok) return base;
  const { document } = base.stacked;
  const settings = readDelivery(document.sections.delivery);
  const fault = kernelLineFault(base.stacked, settings.accept.includes('kernel_line'), word, kernel);
  if (fault !== undefined) return wrong([fault]);

  const later =
    inputs.offline === undefined
      ? collectDeliveries(settings, inputs, pin)
      : offline(inputs.offline, document);
  if (!later.ok) return later;
  const stacked = await readLater(later.documents, options);
  if (!stacked.ok) return stacked;
  return {
    ok: true,
    documents: [base.stacked, ...stacked.documents],
    warnings: [...base.warnings, ...later.warnings, ...stacked.warnings],
  };
}

type ReadOptions = Omit<ParseOptions, 'role'>;

interface Surroundings {
  readonly inputs: Inputs;
  readonly kernel: KernelLine;
  readonly options: ReadOptions;
}

type ReadBase =
  | { readonly ok: true; readonly stacked: StackedDocument; readonly warnings: readonly Diagnostic[] }
  | Refused;

/** The base document, or the kernel line's in its place; undefined: there is neither. */
async function readBase(
  chosen: ChosenDocument | undefined,
  word: KernelWord | undefined,
  pin: string | undefined,
  { inputs, kernel, options }: Surroundings,
): Promise<ReadBase | undefined> {
  if (chosen !== undefined) {
    const { bytes, file, source } = chosen;
    return asBase(await parseDocument(bytes, file, { ...options, role: 'base' }), (document) => ({
      file,
      source,
      sha256: document.sha256,
    }));
  }
  if (word === undefined) return undefined;
  const collected = kernelDocument(word, pin, inputs, kernel);
  if (!collected.ok) return collected;
  const [bound] = collected.documents;
  if (bound === undefined) return undefined;
  const { bytes, file } = bound.delivered;
  return asBase(await parseDocument(bytes, file, { ...options, role: 'base' }), () => recordOf(bound));
}

function asBase(
  outcome: Awaited<ReturnType<typeof parseDocument>>,
  record: (document: ParsedDocument) => StackedDocument['record'],
): ReadBase {
  if (!outcome.ok) return wrong(outcome.diagnostics);
  const { document } = outcome;
  return { ok: true, stacked: { document, record: record(document) }, warnings: document.warnings };
}

/** A document on the kernel line that the base does not ask for, or a base that came by it and asks for another there. */
function kernelLineFault(
  { document, record }: StackedDocument,
  accepts: boolean,
  word: KernelWord | undefined,
  kernel: KernelLine,
): Diagnostic | undefined {
  if (record.source === 'kernel_line') {
    const accept = document.sections.delivery.get('accept');
    if (!accepts || accept === undefined) return undefined;
    const message = 'this document came by the kernel line, which brings no other';
    return diagnosticIn(document, 'error', accept.span, message, 'remove "kernel_line" from accept');
  }
  if (word === undefined || accepts) return undefined;
  const message = `${kernelDocumentWord} brings a document that ${document.file} does not ask for`;
  const help = 'write accept = ["kernel_line"] into its [delivery], or remove the word';
  return kernel.source.error(word.span, message, help);
}

/** Documents of a check on another machine: nothing can be bound there. */
function offline({ later }: NonNullable<Inputs['offline']>, base: ParsedDocument): Collected {
  const documents = later.map(({ file, bytes }): BoundDocument => {
    return {
      delivered: { file, bytes, envelope: bytes, algorithm: 'sha-256' },
      way: 'drop_ins',
      binding: 'not checked here',
    };
  });
  const accept = base.sections.delivery.get('accept');
  if (accept === undefined || later.length > 0) return { ok: true, documents, warnings: [] };
  const message = 'further documents come in the guest; what they narrow is not seen here';
  return {
    ok: true,
    documents,
    warnings: [diagnosticIn(base, 'warning', accept.span, message, 'nothing has to be done')],
  };
}

async function readLater(bound: readonly BoundDocument[], options: ReadOptions): Promise<Stacked> {
  const documents: StackedDocument[] = [];
  const faults: Diagnostic[] = [];
  for (const each of bound) {
    const { bytes, file } = each.delivered;
    const parsed = await parseDocument(bytes, file, { ...options, role: 'later' });
    if (parsed.ok) documents.push({ document: parsed.document, record: recordOf(each) });
    else faults.push(...parsed.diagnostics);
  }
  if (faults.length > 0) return wrong(faults);
  return { ok: true, documents, warnings: documents.flatMap(({ document }) => document.warnings) };
}

function recordOf({ delivered, way, binding }: BoundDocument): StackedDocument['record'] {
  return { file: delivered.file, source: way, sha256: envelopeDigest(delivered), binding };
}

function once(load: () => Promise<RuleChecker>): () => Promise<RuleChecker> {
  let checker: Promise<RuleChecker> | undefined;
  return () => (checker ??= load());
}
