import type { Diagnostic, Span } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import { diagnosticIn, type ParsedDocument } from '../parse/parsed-document.js';
import { addressesOverlap } from '../listener/listener-place.js';
import { type SettableKey, settableName, settableOf, signaturesName } from '../value-types/may-set.js';
import type { ListenerEntry } from '../listener/read-listeners.js';
import type { TlsKeys } from '../listener/listener-keys.js';
import type { Located } from '../document/entry-key.js';
import { imageSettings } from '../settings/image-settings.js';

/** A further document, and whether it is bound strongly enough to set what `may_set` names. */
export interface SettingDocument {
  readonly document: ParsedDocument;
  readonly sets: boolean;
}

interface Completed {
  /** The base first. */
  readonly documents: readonly ParsedDocument[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Moves what delivered documents set by `may_set` into the base document, so that everything after this sees a base document
 * that is complete. A key that two documents set is fatal, and so is one that a listener needs and that none sets.
 *
 * Peers and signatures of images stay in their documents, where they narrow each other.
 *
 * @param names `may_set` of the base document.
 * @param awaits whether the documents are delivered elsewhere: what is missing is no error then.
 */
export function completeBase(
  base: ParsedDocument,
  later: readonly SettingDocument[],
  names: readonly string[],
  awaits: boolean,
): Completed {
  const documents = [base, ...later.map(({ document }) => document)];
  if (names.length === 0) return { documents, diagnostics: [] };
  const diagnostics: Diagnostic[] = [];
  const listeners = base.listeners.map((entry) => {
    const settable = settableOf({ names: new Set(names) }, entry.name);
    if (settable.size === 0) return entry;
    const { set, twice } = collectValues(entry.name, settable, later);
    diagnostics.push(...twice);
    const unset = [...settable].filter((key) => !set.has(key));
    if (!awaits) diagnostics.push(...unset.filter(isNeeded).map((key) => lacking(base, entry, key)));
    const awaited = new Set(awaits ? unset : []);
    return { ...completed(entry, set), ...(awaited.size === 0 ? {} : { awaited }) };
  });
  const lacksSignatures =
    names.includes(signaturesName) &&
    !awaits &&
    !later.some(({ document, sets }) => sets && document.sections.image.has(imageSettings.signatures.key));
  if (lacksSignatures) diagnostics.push(lackingSignatures(base));
  const lineOf = (span: Span): string =>
    (documents.find(({ file }) => file === span.file) ?? base).lineOf(span);
  const complete: ParsedDocument = { ...base, listeners, lineOf };
  return {
    documents: [complete, ...documents.slice(1).map(withoutMoved)],
    diagnostics: [...diagnostics, ...overlaps(complete)],
  };
}

/** A value that a document sets; of peers only the first document's counts here. */
interface SetValue extends Located<unknown> {
  readonly document: ParsedDocument;
}

function collectValues(
  listener: string,
  settable: ReadonlySet<SettableKey>,
  later: readonly SettingDocument[],
): { readonly set: ReadonlyMap<SettableKey, SetValue>; readonly twice: readonly Diagnostic[] } {
  const set = new Map<SettableKey, SetValue>();
  const twice: Diagnostic[] = [];
  for (const { document, sets } of later) {
    const entry = sets ? document.listeners.find(({ name }) => name === listener) : undefined;
    for (const key of entry === undefined ? [] : settable) {
      const found = entry === undefined ? undefined : valueOf(entry, key);
      if (found === undefined) continue;
      const before = set.get(key);
      if (before === undefined) set.set(key, { ...found, document });
      // Further lists of peers narrow the first.
      else if (key !== 'peers') {
        const { file, line } = before.span;
        const message = `${settableName(listener, key)} is set already, in ${file}:${line}: may_set lets one document set it`;
        twice.push(diagnosticIn(document, 'error', 'KA1716', found.span, message, 'remove one of the two'));
      }
    }
  }
  return { set, twice };
}

function valueOf({ address, peers, tls }: ListenerEntry, key: SettableKey): Located<unknown> | undefined {
  if (key === 'address') return address;
  if (key === 'peers') return peers;
  const value = tls?.value[tlsProperty[key]];
  return tls === undefined || value === undefined ? undefined : { value, span: tls.span };
}

const tlsProperty = {
  'tls.client_ca': 'clientCa',
  'tls.client_crl': 'clientCrl',
  'tls.server_ca': 'serverCa',
  'tls.pins': 'pins',
} as const satisfies Partial<Record<SettableKey, keyof TlsKeys>>;

/** A CRL and pins only restrict what the CA of the same tenant allows. */
function isNeeded(key: SettableKey): boolean {
  return key !== 'tls.client_crl' && key !== 'tls.pins';
}

function completed(entry: ListenerEntry, set: ReadonlyMap<SettableKey, SetValue>): ListenerEntry {
  const tls = Object.entries(tlsProperty).flatMap(([key, property]) => {
    const found = set.get(key as SettableKey);
    return found === undefined ? [] : [[property, found] as const];
  });
  const [first] = tls;
  const address = set.get('address');
  return {
    ...entry,
    ...(address === undefined ? {} : { address: { value: String(address.value), span: address.span } }),
    ...(first === undefined
      ? {}
      : {
          tls: {
            // Each value was parsed by the type of its key.
            value: {
              ...entry.tls?.value,
              ...Object.fromEntries(tls.map(([key, { value }]) => [key, value])),
            },
            span: entry.tls?.span ?? first[1].span,
          },
        }),
    ...(set.size === 0 ? {} : { delivered: new Map([...set].map(([key, { span }]) => [key, span])) }),
  };
}

function withoutMoved(document: ParsedDocument): ParsedDocument {
  const listeners = document.listeners.map(({ address: _address, tls: _tls, ...entry }) => entry);
  return { ...document, listeners };
}

function lacking(base: ParsedDocument, { name, span }: ListenerEntry, key: SettableKey): Diagnostic {
  const full = settableName(name, key);
  const help = `set ${key} of [[listener]] name = ${quote(name)} in the document that is bound by host_data or a pin`;
  return diagnosticIn(
    base,
    'error',
    'KA1717',
    span,
    `no delivered document sets ${full}, which may_set leaves to it`,
    help,
  );
}

function lackingSignatures(base: ParsedDocument): Diagnostic {
  return diagnosticIn(
    base,
    'error',
    'KA1717',
    base.sections.delivery.get('may_set')?.span ?? base.apiSpan,
    `no delivered document sets ${signaturesName}, which may_set leaves to it`,
    'set signatures in [image] of the document that is bound by host_data or a pin',
  );
}

/** Reports delivered addresses of another listener. */
function overlaps(base: ParsedDocument): readonly Diagnostic[] {
  return base.listeners.flatMap(({ name, address, delivered }) => {
    if (address === undefined || delivered?.has('address') !== true) return [];
    const other = base.listeners.find(
      (listener) =>
        listener.name !== name &&
        listener.address !== undefined &&
        addressesOverlap(listener.address.value, address.value),
    );
    if (other === undefined) return [];
    const message = `the listener ${quote(other.name)} has the address ${quote(address.value)} already`;
    const help = 'give each listener a server or a path of its own';
    return [diagnosticIn(base, 'error', 'KA1403', address.span, message, help)];
  });
}
