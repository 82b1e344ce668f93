import {
  findRelease,
  inconsistencies,
  type Inconsistency,
  type MethodName,
  methodNames,
} from '@kata-agent/catalogue';
import type { Diagnostic, Span } from '../diagnostics/diagnostic.js';
import { diagnosticIn, type ParsedDocument } from '../parse/parsed-document.js';
import { isServed } from '../api/served.js';
import type { EndpointLists, ListEntry } from '../configuration.js';
import { quote } from '../diagnostics/display-text.js';

const pin = 'write the release of Kata Containers it was written for: release = "3.21"';

export interface SenseOptions {
  /** The names of all listeners. */
  readonly listeners: readonly string[];
  /** Some document sets `strict`. */
  readonly strict: boolean;
  /** The severity of inconsistent sets without `strict`, which makes them errors (R9). */
  readonly inconsistentSeverity: Diagnostic['severity'];
  /** The methods whose handlers are in the bundle; undefined: all. */
  readonly handlers: ReadonlySet<MethodName> | undefined;
}

/**
 * Checks that the methods served by all documents together are consistent (R5, R9, R16). They are those of all listeners
 * together: a pod runs if its runtime can make all its calls, and a listener for one purpose, as reading logs, needs no
 * others. `preflight` and `check --pod` look at the listener of the runtime alone.
 */
export function checkConsistency(
  documents: readonly ParsedDocument[],
  options: SenseOptions,
): readonly Diagnostic[] {
  const [base] = documents;
  if (base === undefined) return [];
  const apis = documents.map(({ api }) => api);
  const served = methodNames.filter((method) =>
    options.listeners.some((listener) => isServed(apis, listener, method, options.handlers)),
  );
  return [
    ...documents.flatMap((document) => checkRelease(document, options.strict)),
    ...(options.strict ? documents.flatMap(checkPinned) : []),
    ...(served.length === 0 ? [servesNothing(base)] : idleListeners(base, apis, options)),
    ...(served.length === 0 ? [] : entriesWithoutEffect(base)),
    ...inconsistencies(served).map((found) => inconsistent(base, found, options)),
    ...documents.flatMap((document) => rulesWithoutUse(document, served)),
    ...(served.includes('CreateContainer') ? imagesWithoutMounts(documents) : []),
    ...withoutRule(documents, base, options),
  ];
}

function servesNothing(base: ParsedDocument): Diagnostic {
  const { api, listeners, sections, apiSpan } = base;
  const key = sections.api.get('allowed_endpoints') ?? sections.api.get('blocked_endpoints');
  const lists = [api, ...listeners.map(({ lists }) => lists)];
  const none = lists.every(({ allowed, blocked }) => allowed === undefined && blocked === undefined);
  return none
    ? diagnosticIn(
        base,
        'warning',
        'KA1206',
        apiSpan,
        'this document has no list of endpoints, so NOTHING is served but Health',
        'write allowed_endpoints in [api]: ["@pod"], or ["*"] for everything',
      )
    : diagnosticIn(
        base,
        'warning',
        'KA1206',
        key?.span ?? listeners[0]?.span ?? apiSpan,
        'these lists leave nothing: NOTHING is served but Health',
        'for everything: allowed_endpoints = ["*"]',
      );
}

/** Warns of listeners that serve nothing while others serve something. */
function idleListeners(
  base: ParsedDocument,
  apis: readonly ParsedDocument['api'][],
  { handlers }: SenseOptions,
): readonly Diagnostic[] {
  return base.listeners
    .filter(({ name }) => !methodNames.some((method) => isServed(apis, name, method, handlers)))
    .map(({ name, span }) =>
      diagnosticIn(
        base,
        'warning',
        'KA1206',
        span,
        `these lists leave nothing for the listener "${name}": NOTHING is served there but Health`,
        'write allowed_endpoints in its [[listener]] and in [api], or remove the listener',
      ),
    );
}

function inconsistent(base: ParsedDocument, found: Inconsistency, options: SenseOptions): Diagnostic {
  const severity = options.strict ? 'error' : options.inconsistentSeverity;
  const span = placeOf(base, found.served) ?? base.apiSpan;
  return diagnosticIn(base, severity, 'KA1207', span, found.message, found.rule.help);
}

/** Returns the position of the entry that opens one of the methods. */
function placeOf({ api, listeners }: ParsedDocument, methods: readonly MethodName[]): Span | undefined {
  for (const { allowed } of [...listeners.map(({ lists }) => lists), api]) {
    for (const method of methods) {
      const entry = allowed?.get(method);
      if (entry !== undefined) return entry.span;
    }
  }
  return undefined;
}

/** What a host that calls one of them without a rule decides. */
const deciding: readonly (readonly [MethodName, string])[] = [
  ['CreateContainer', 'which programs and images run'],
  ['ExecProcess', 'which programs run in a container'],
  ['CopyFile', 'which files containers have'],
];

/**
 * Warns of methods with which the host decides what the workload is, if rules limit one of them and not another: then who wrote the
 * rules expects that they do. Documents without such rules say by their lists alone what they allow.
 */
function withoutRule(
  documents: readonly ParsedDocument[],
  base: ParsedDocument,
  { listeners, handlers }: SenseOptions,
): readonly Diagnostic[] {
  const apis = documents.map(({ api }) => api);
  const rules = documents
    .flatMap(({ api }) => api.rules)
    .filter(({ enforcement }) => enforcement === 'enforce');
  const ofHost = listeners.filter((name) => !hasOwnCallers(base, name));
  const served = deciding.filter(([method]) =>
    ofHost.some((listener) => isServed(apis, listener, method, handlers)),
  );
  const found = served.filter(([method]) => !rules.some(({ methods }) => methods.has(method)));
  const [first] = found;
  if (first === undefined || found.length === served.length) return [];
  const list = found.map(([method, what]) => `${method} (${what})`).join(', ');
  return [
    diagnosticIn(
      base,
      'warning',
      'KA1210',
      placeOf(base, [first[0]]) ?? base.apiSpan,
      `no rule limits ${list}: the host decides`,
      'write a rule for each; kata-agent-ctl config generate --pod POD.yaml writes those of a pod',
    ),
  ];
}

/** Reports whether a listener is for callers that the document names: by certificates, or users of the guest. */
function hasOwnCallers({ listeners }: ParsedDocument, name: string): boolean {
  const { address, peers } = listeners.find((listener) => listener.name === name) ?? {};
  if (address === undefined || address.value.startsWith('vsock:')) return false;
  return !address.value.startsWith('unix:') || peers !== undefined;
}

/** Warns of rules about images without rules about mounts: the host could mount other files over the image's. */
function imagesWithoutMounts(documents: readonly ParsedDocument[]): readonly Diagnostic[] {
  const rules = documents.flatMap((document) =>
    document.api.rules
      .filter(({ methods, enforcement }) => methods.has('CreateContainer') && enforcement === 'enforce')
      .map((rule) => ({ document, rule })),
  );
  if (rules.some(({ rule }) => /\bmounts\b|\bMounts\b/.test(rule.expression))) return [];
  return rules
    .filter(({ rule }) => /\bclaimed\.image\b/.test(rule.expression))
    .slice(0, 1)
    .map(({ document, rule: { name, span } }) =>
      diagnosticIn(
        document,
        'warning',
        'KA1313',
        span,
        `rule "${name}" is about images, and no rule is about mounts: the host can mount other files over those of the image`,
        'add a rule about mounts; kata-agent-ctl config generate --pod POD.yaml writes one',
      ),
    );
}

function rulesWithoutUse(document: ParsedDocument, served: readonly MethodName[]): readonly Diagnostic[] {
  return document.api.rules
    .filter(({ methods, profile }) => profile === undefined && !served.some((method) => methods.has(method)))
    .map(({ name, span, methods }) => {
      const message = `rule "${name}" has no effect: ${served.length === 0 ? 'nothing is served' : `none of its endpoints is served`}`;
      const [first] = methods.keys();
      return diagnosticIn(
        document,
        'warning',
        'KA1312',
        span,
        message,
        `serve one of them, "${first}" for example, or remove the rule`,
      );
    });
}

/**
 * Under `strict`, set by any document, lists that could grow with a later release must be pinned to a release (R16).
 */
function checkPinned(document: ParsedDocument): readonly Diagnostic[] {
  const { api, listeners } = document;
  if (api.release !== undefined) return [];
  const faults = new Map<string, Diagnostic>();
  const refuse = (span: Span, message: string): void => {
    faults.set(`${span.line}:${span.column}`, diagnosticIn(document, 'error', 'KA1208', span, message, pin));
  };
  const checkLists = ({ allowed, blocked }: EndpointLists, owner: Span): void => {
    for (const { entry, span } of allowed?.values() ?? [])
      if (isOpen(entry))
        refuse(span, `under strict, "${entry}" needs a release: it can include more methods later`);
    if (blocked !== undefined)
      refuse(
        owner,
        'under strict, blocked_endpoints needs a release: it can leave more methods served later',
      );
  };
  for (const { lists, span } of listeners) checkLists(lists, span);
  checkLists(api, document.sections.api.get('blocked_endpoints')?.span ?? document.apiSpan);
  return Array.from(faults.values()).toSorted(
    (a, b) => (a.span?.line ?? 0) - (b.span?.line ?? 0) || (a.span?.column ?? 0) - (b.span?.column ?? 0),
  );
}

function isOpen(entry: ListEntry['entry']): boolean {
  return entry === '*' || entry.startsWith('@');
}

/** A release that this agent does not know is not a reliable pin. */
function checkRelease(document: ParsedDocument, strict: boolean): readonly Diagnostic[] {
  const { release } = document.api;
  const span = document.sections.api.get('release')?.span;
  if (release === undefined || span === undefined || findRelease(release) !== undefined) return [];
  const message = `release = "${release}" is not a release of Kata Containers that this agent knows`;
  const help = 'write one that exists: release = "3.21"';
  return [diagnosticIn(document, strict ? 'error' : 'warning', 'KA1209', span, message, help)];
}

/**
 * Warns of entries of a listener that open nothing, because the list of `[api]` in the same document has none of their methods. Their
 * author expects otherwise: `[api]` would be a default, and is a limit. A listener without any effective entry is reported elsewhere.
 */
function entriesWithoutEffect(base: ParsedDocument): readonly Diagnostic[] {
  const limit = base.api.allowed;
  if (limit === undefined) return [];
  return base.listeners.flatMap(({ name, lists }) => {
    const idle = idleEntries(lists, limit);
    return idle.length === entriesOf(lists).length
      ? []
      : idle.map(({ entry, span }) =>
          diagnosticIn(
            base,
            'warning',
            'KA1125',
            span,
            `${quote(entry)} has no effect: allowed_endpoints of [api] is a limit for the listener ${quote(name)}, too, and has none of its methods`,
            'move the list of [api] into the [[listener]] that it is meant for, or add the entry there',
          ),
        );
  });
}

function idleEntries(
  lists: EndpointLists,
  limit: NonNullable<EndpointLists['allowed']>,
): readonly ListEntry[] {
  return entriesOf(lists).filter(
    ({ entry }) =>
      ![...(lists.allowed ?? [])].some(([method, each]) => each.entry === entry && limit.has(method)),
  );
}

/** The entries of a list, each once. */
function entriesOf({ allowed }: EndpointLists): readonly ListEntry[] {
  return [...new Map([...(allowed?.values() ?? [])].map((each) => [each.entry, each])).values()];
}
