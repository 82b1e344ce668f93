import { createHash } from 'node:crypto';
import { looksLikeRego, parseRegoDefaults } from '../api/rego-defaults.js';
import {
  initdataComponentKeys,
  type InitdataEnvelope,
  type InitdataFile,
  initdataKey,
  initdataPolicyKey,
  type LoadedInitdata,
} from '../delivery.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import { decodeDocument } from '../document/decode-document.js';
import type { DocumentRole } from '../document/entry-key.js';
import type { DocumentOutcome, ParsedDocument } from '../parse/parsed-document.js';
import { type BoundDocument, envelopeDigest } from './bind-document.js';
import { failure } from './stacked-document.js';

const noSections: ParsedDocument['sections'] = {
  agent: new Map(),
  api: new Map(),
  delivery: new Map(),
  measurement: new Map(),
  image: new Map(),
  evidence: new Map(),
  audit: new Map(),
  limits: new Map(),
};

/** What the files of an envelope are used for. */
export interface AppliedInitdata {
  /** `kata-agent.toml`, then `policy.rego`. */
  readonly documents: readonly BoundDocument[];
  readonly report: LoadedInitdata;
  /** As in `Configuration.initdataTexts`. */
  readonly texts: ReadonlyMap<string, string>;
  /** Errors, or warnings, of files that cannot be applied. */
  readonly diagnostics: readonly Diagnostic[];
}

interface InitdataOptions {
  /** As in `LoadedDocument`. */
  readonly binding: string;
  /** Whether there is a base document, which accepts initdata. */
  readonly hasBase: boolean;
  /** The severity of a file that is for this agent and cannot be applied. */
  readonly unused: Diagnostic['severity'];
}

const policyHelp = `convert it: kata-agent-ctl config migrate ${initdataPolicyKey}, and deliver the result as "${initdataKey}"`;

/**
 * Decides what each file of an envelope is used for. The envelope has been bound; its policy is parsed here, since one
 * that cannot be applied is not a document that `required` asks for.
 */
export function applyInitdata(envelope: InitdataEnvelope, options: InitdataOptions): AppliedInitdata {
  const documents: BoundDocument[] = [];
  const diagnostics: Diagnostic[] = [];
  const files = new Map<string, InitdataFile>();
  for (const [name, text] of [...envelope.files].toSorted(([a], [b]) => order(a) - order(b))) {
    const file = `${envelope.file} ${name}`;
    const bytes = new Uint8Array(Buffer.from(text));
    const applied = (document: Omit<BoundDocument, 'binding'>): InitdataFile => {
      documents.push({ ...document, binding: options.binding });
      return { name, outcome: 'applied' };
    };
    const unused = (diagnostic: Diagnostic): InitdataFile => {
      diagnostics.push({ ...diagnostic, severity: options.unused });
      return { name, outcome: 'ignored', reason: diagnostic.message };
    };
    if (name === initdataKey) {
      files.set(name, options.hasBase ? applied({ file, bytes }) : unused(withoutBase(file)));
    } else if (name === initdataPolicyKey) {
      const parsed = parsePolicyDocument(bytes, file, options.hasBase ? 'later' : 'base');
      const [fault] = parsed.ok ? [] : parsed.diagnostics;
      files.set(
        name,
        parsed.ok
          ? applied({ file, bytes, parsed: parsed.document })
          : unused(unusable(file, fault, options)),
      );
    } else if (initdataComponentKeys.includes(name)) files.set(name, { name, outcome: 'kept' });
    else files.set(name, { name, outcome: 'ignored', reason: 'this agent knows no file of this name' });
  }
  return {
    documents,
    report: reportOf(envelope, options.binding, (name) => files.get(name)),
    texts: usedTexts(envelope, (name) => files.get(name)),
    diagnostics,
  };
}

/** Reports initdata that the base document does not accept: nothing of it is used. */
export function unacceptedInitdata(
  envelope: InitdataEnvelope,
  baseFile: string,
  unused: Diagnostic['severity'],
): Pick<AppliedInitdata, 'report' | 'diagnostics'> {
  const reason = `${baseFile} does not accept initdata`;
  return {
    report: reportOf(envelope, undefined, (name) => ({ name, outcome: 'ignored', reason })),
    diagnostics: [{ ...unaccepted(`${envelope.file} is not used: ${reason}`), severity: unused }],
  };
}

/** Reports a device that nobody asked for. */
function unaccepted(message: string): Diagnostic {
  const help =
    'write accept = ["initdata"] into [delivery] of the base document, detach the device, or write unused_initdata = "record"';
  return failure('KA1714', message, help);
}

/** `kata-agent.toml` is used before `policy.rego`; other files keep their order. */
function order(name: string): number {
  return [initdataKey, initdataPolicyKey].indexOf(name);
}

function withoutBase(file: string): Diagnostic {
  return failure(
    'KA1714',
    `${file} cannot be applied: there is no base document that accepts it`,
    'add a base document to the image, with accept = ["initdata"] in [delivery], or remove the file from initdata',
  );
}

function unusable(file: string, fault: Diagnostic | undefined, { hasBase }: InitdataOptions): Diagnostic {
  const reason = fault === undefined ? '' : `: ${fault.message}`;
  const recorded = hasBase ? ', or ignore it: unused_initdata = "record" in [delivery]' : '';
  return {
    ...failure('KA1713', `${file} cannot be applied${reason}`, `${policyHelp}${recorded}`),
    ...(fault?.span === undefined ? {} : { span: fault.span }),
    ...(fault?.sourceLine === undefined ? {} : { sourceLine: fault.sourceLine }),
  };
}

/** The host chooses names and number of unknown files; the record of them is bounded. */
const longestName = 128;
const maxUnknownFiles = 16;

function reportOf(
  envelope: InitdataEnvelope,
  binding: string | undefined,
  fileOf: (name: string) => InitdataFile | undefined,
): LoadedInitdata {
  const known = new Set([initdataKey, initdataPolicyKey, ...initdataComponentKeys]);
  const unknown = [...envelope.files.keys()].filter((name) => !known.has(name));
  const unlisted = new Set(unknown.slice(maxUnknownFiles));
  const files: InitdataFile[] = [];
  for (const name of envelope.files.keys()) {
    const file = unlisted.has(name) ? undefined : fileOf(name);
    if (file !== undefined) files.push({ ...file, name: shortened(name) });
  }
  return {
    file: envelope.file,
    sha256: envelopeDigest(envelope),
    ...(binding === undefined ? {} : { binding }),
    files,
    ...(unlisted.size === 0 ? {} : { unlisted: unlisted.size }),
  };
}

function shortened(name: string): string {
  return name.length <= longestName ? name : `${name.slice(0, longestName - 1)}…`;
}

function usedTexts(
  { envelope, files }: InitdataEnvelope,
  fileOf: (name: string) => InitdataFile | undefined,
): ReadonlyMap<string, string> {
  const used = [...files].filter(([name]) => fileOf(name)?.outcome !== 'ignored');
  // The envelope was decoded as UTF-8 before: writing this text again gives its bytes.
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(envelope);
  return new Map([...used, ['initdata.toml', text]]);
}

/** Parses a Rego policy that is a plain list of defaults as a document with only an allow-list. */
function parsePolicyDocument(bytes: Uint8Array, file: string, role: DocumentRole): DocumentOutcome {
  const decoded = decodeDocument(bytes, file);
  if (!decoded.ok) return { ok: false, diagnostics: [decoded.diagnostic] };
  const { source } = decoded;
  const start = source.span(0, 1);
  if (!looksLikeRego(source.text)) {
    const message = 'the first line is neither a package nor a default of Rego';
    return {
      ok: false,
      diagnostics: [source.error('KA1802', start, message, 'begin with package agent_policy')],
    };
  }
  const rego = parseRegoDefaults(source);
  if (!rego.ok) return rego;
  return {
    ok: true,
    document: {
      file,
      role,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      sections: noSections,
      api: rego.document,
      listeners: [],
      witnesses: [],
      secrets: [],
      apiSpan: start,
      lineOf: (span) => source.line(span.line),
      warnings: [],
    },
  };
}
