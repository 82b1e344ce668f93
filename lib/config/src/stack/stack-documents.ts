import { type ChosenDocument, chooseBaseDocument } from './base-document.js';
import type { DeliverySettings, LoadedDocument, LoadedInitdata } from '../delivery.js';
import type { Inputs, RuleChecker } from '../configuration.js';
import { kernelDocumentWord } from '../delivery/kernel-command-line-source.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import type { parseDocument, ParseOptions } from '../parse/parse-document.js';
import { diagnosticIn, type ParsedDocument } from '../parse/parsed-document.js';
import type { KernelCommandLine, KernelWord } from '../kernel-command-line.js';
import { type BoundDocument, envelopeDigest, isStronglyBound, uncheckedBinding } from './bind-document.js';
import { type Collected, collectDeliveries, readSource } from './collect-deliveries.js';
import { completeBase, type SettingDocument } from './complete-base.js';
import { kernelDocument, readKernelPin } from './kernel-document.js';
import { readDelivery } from '../settings/read-section.js';
import { cannotApply, type Refused, type Stacked, wrong } from './stacked-document.js';

/**
 * Finds all documents: the base and those that it requests. Without a base the kernel command line may contain one
 * document with its digest. Each is bound before it is parsed, and each after the base can only narrow (S25).
 */
export async function stackDocuments(inputs: Inputs, kernel: KernelCommandLine): Promise<Stacked> {
  const chosen = chooseBaseDocument(inputs, kernel);
  if (!chosen.ok) return wrong(chosen.diagnostics);
  const kernelPin = readKernelPin(kernel);
  if (!kernelPin.ok) return wrong(kernelPin.diagnostics);
  const { document: word, pin } = kernelPin;
  const options = { handlers: inputs.handlers, rules: once(inputs.rules) };

  const base = await readBase(chosen.document, word, pin, { inputs, kernel, options });
  if (base === undefined) return await withoutBase(inputs);
  if (!base.ok) return base;
  const { document, record } = base;
  const settings = readDelivery(document.sections.delivery);
  const fault = kernelCommandLineFault(base, settings.accept.includes('kernel_line'), word, kernel);
  if (fault !== undefined) return wrong([fault]);

  const later =
    inputs.offline === undefined
      ? await collectDeliveries(settings, inputs, pin)
      : offline(inputs.offline, document, settings.maySet);
  if (!later.ok) return later;
  const stacked = await readLater(later.documents, options, settings.maySet);
  if (!stacked.ok) return wrong(stacked.diagnostics);
  const awaits = inputs.offline !== undefined && later.documents.length === 0;
  const completed = completeBase(document, stacked.documents, settings.maySet, awaits);
  const ignored = await ignoredInitdata(settings, inputs, document.file);
  if (!ignored.ok) return ignored;
  const initdata = later.initdata?.report ?? ignored.report;
  return {
    ok: true,
    documents: completed.documents,
    records: [record, ...later.records],
    ...(initdata === undefined ? {} : { initdata }),
    ...(later.initdata === undefined ? {} : { initdataTexts: later.initdata.texts }),
    warnings: [
      ...base.warnings,
      ...later.warnings,
      ...ignored.warnings,
      ...stacked.warnings,
      ...completed.diagnostics,
    ],
  };
}

const noDelivery = readDelivery(new Map());

/**
 * Reads initdata where there is no base document, as Kata's agent does: a policy that is a list of defaults narrows, and
 * files for guest components are kept. What cannot be applied is fatal, since nothing says that it may be ignored.
 */
async function withoutBase(inputs: Inputs): Promise<Stacked> {
  const none: Stacked = { ok: true, documents: [], records: [], warnings: [] };
  if (inputs.offline !== undefined) return none;
  const read = await readSource('initdata', noDelivery, inputs);
  if (read?.ok === false) return cannotApply(read.diagnostics);
  if (read?.initdata === undefined) return none;
  const { applyInitdata } = await import('./apply-initdata.js');
  const { documents, report, texts, diagnostics } = applyInitdata(read.initdata, {
    binding: 'none',
    hasBase: false,
    unused: 'error',
  });
  if (diagnostics.length > 0) return cannotApply(diagnostics);
  return {
    ...none,
    documents: documents.flatMap(({ parsed }) => parsed ?? []),
    initdata: report,
    initdataTexts: texts,
  };
}

type IgnoredInitdata =
  | { readonly ok: true; readonly report?: LoadedInitdata; readonly warnings: readonly Diagnostic[] }
  | Refused;

/** Reads initdata that the base document does not accept; without its permission to ignore it the agent does not start. */
async function ignoredInitdata(
  settings: DeliverySettings,
  inputs: Inputs,
  baseFile: string,
): Promise<IgnoredInitdata> {
  const none = { ok: true, warnings: [] } as const;
  if (inputs.offline !== undefined || settings.accept.includes('initdata')) return none;
  const read = await readSource('initdata', settings, inputs);
  if (read?.ok === false) return cannotApply(read.diagnostics);
  if (read?.initdata === undefined) return none;
  const unused = settings.unusedInitdata === 'record' ? 'warning' : 'error';
  const { unacceptedInitdata } = await import('./apply-initdata.js');
  const { report, diagnostics } = unacceptedInitdata(read.initdata, baseFile, unused);
  return unused === 'error' ? cannotApply(diagnostics) : { ok: true, report, warnings: diagnostics };
}

type ReadOptions = Omit<ParseOptions, 'role' | 'maySet'>;

interface Surroundings {
  readonly inputs: Inputs;
  readonly kernel: KernelCommandLine;
  readonly options: ReadOptions;
}

interface BaseDocument {
  readonly ok: true;
  readonly document: ParsedDocument;
  readonly record: LoadedDocument;
  readonly warnings: readonly Diagnostic[];
}

type ReadBase = BaseDocument | Refused;

/** Returns the base document, or that of the kernel command line in its place; undefined when there is neither. */
async function readBase(
  chosen: ChosenDocument | undefined,
  word: KernelWord | undefined,
  pin: string | undefined,
  { inputs, kernel, options }: Surroundings,
): Promise<ReadBase | undefined> {
  if (chosen !== undefined) {
    const { bytes, file, source } = chosen;
    return asBase(await parse(bytes, file, { ...options, role: 'base' }), (document) => ({
      file,
      source,
      sha256: document.sha256,
    }));
  }
  if (word === undefined) return undefined;
  const collected = await kernelDocument(word, pin, inputs, kernel);
  if (!collected.ok) return collected;
  const [bound] = collected.documents;
  const [record] = collected.records;
  if (bound === undefined || record === undefined) return undefined;
  return asBase(await parse(bound.bytes, bound.file, { ...options, role: 'base' }), () => record);
}

/** Parses a document. The parser is loaded with the first: an agent without a configuration needs none. */
const parse: typeof parseDocument = async (...document) => {
  const parser = await import('../parse/parse-document.js');
  return parser.parseDocument(...document);
};

function asBase(
  outcome: Awaited<ReturnType<typeof parseDocument>>,
  record: (document: ParsedDocument) => LoadedDocument,
): ReadBase {
  if (!outcome.ok) return wrong(outcome.diagnostics);
  const { document } = outcome;
  return { ok: true, document, record: record(document), warnings: document.warnings };
}

/**
 * Reports a document on the kernel command line that the base does not accept, and a base from there that requests
 * another there.
 */
function kernelCommandLineFault(
  { document, record }: BaseDocument,
  accepts: boolean,
  word: KernelWord | undefined,
  kernel: KernelCommandLine,
): Diagnostic | undefined {
  if (record.source === 'kernel_line') {
    const accept = document.sections.delivery.get('accept');
    if (!accepts || accept === undefined) return undefined;
    const message = 'this document was delivered on the kernel command line, which delivers only one';
    return diagnosticIn(
      document,
      'error',
      'KA1708',
      accept.span,
      message,
      'remove "kernel_line" from accept',
    );
  }
  if (word === undefined || accepts) return undefined;
  const message = `${kernelDocumentWord} delivers a document that ${document.file} does not accept`;
  const help = 'write accept = ["kernel_line"] into its [delivery], or remove the word';
  return kernel.source.error('KA1708', word.span, message, help);
}

/** Returns the documents of a check on another machine, where nothing can be bound. */
function offline(
  { later: given }: NonNullable<Inputs['offline']>,
  base: ParsedDocument,
  maySet: readonly string[],
): Collected {
  const binding = uncheckedBinding;
  const later = given.map((document) => ({ ...document, binding }));
  const records = later.map(({ file, bytes }): LoadedDocument => {
    const sha256 = envelopeDigest({ envelope: bytes });
    return { file, source: 'drop_ins', sha256, binding };
  });
  const accept = base.sections.delivery.get('accept');
  if (accept === undefined || later.length > 0) return { ok: true, documents: later, records, warnings: [] };
  const values = maySet.length === 0 ? '' : `, and neither are the values of ${maySet.join(', ')}`;
  const message = `further documents are delivered in the guest; their restrictions are not included here${values}`;
  return {
    ok: true,
    documents: later,
    records,
    warnings: [diagnosticIn(base, 'warning', 'KA1711', accept.span, message, 'no action is needed')],
  };
}

type ReadLater =
  | {
      readonly ok: true;
      readonly documents: readonly SettingDocument[];
      readonly warnings: readonly Diagnostic[];
    }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

async function readLater(
  bound: readonly BoundDocument[],
  options: ReadOptions,
  names: readonly string[],
): Promise<ReadLater> {
  const documents: SettingDocument[] = [];
  const faults: Diagnostic[] = [];
  for (const { bytes, file, binding, parsed: before } of bound) {
    const sets = isStronglyBound(binding);
    const maySet = { names: new Set(names), ...(sets ? {} : { weaklyBound: binding }) };
    const parsed =
      before === undefined
        ? await parse(bytes, file, { ...options, role: 'later', maySet })
        : { ok: true as const, document: before };
    if (parsed.ok) documents.push({ document: parsed.document, sets });
    else faults.push(...parsed.diagnostics);
  }
  if (faults.length > 0) return { ok: false, diagnostics: faults };
  return { ok: true, documents, warnings: documents.flatMap(({ document }) => document.warnings) };
}

function once(load: () => Promise<RuleChecker>): () => Promise<RuleChecker> {
  let checker: Promise<RuleChecker> | undefined;
  return () => (checker ??= load());
}
