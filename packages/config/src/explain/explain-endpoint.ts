import { endpoints, existedIn, type MethodName } from '@kata-agent/catalogue';
import type { ApiDocument, EndpointLists, Rule } from '../configuration.js';
import { place } from '../diagnostic.js';

/** The gate's word on a method. */
export type Decide = (
  method: MethodName,
  listener: string,
) => {
  readonly outcome: 'allow' | 'deny';
  readonly reason: string;
};

export interface ExplainedEndpoint {
  readonly listener: string;
  readonly method: MethodName;
  readonly served: boolean;
  readonly reason: string;
  /** What each list and release says of it, in the order in which they are asked. */
  readonly voices: readonly Voice[];
  /** The rules that its requests must pass. */
  readonly rules: readonly ExplainedRule[];
}

/** What one part of a document says of a method. */
export interface Voice {
  /** `config.toml:7`, or the file alone where a list is empty. */
  readonly source: string;
  /** `allowed_endpoints has "@pod"`. */
  readonly says: string;
  readonly allows: boolean;
  /** The one that the outcome goes by: the first that refuses, else the narrowest that opens. */
  readonly decides: boolean;
}

export interface ExplainedRule {
  readonly name: string;
  readonly source: string;
  readonly enforcement: Rule['enforcement'];
}

/** Explains what becomes of calls of a method on a listener. */
export function explainEndpoint(
  documents: readonly ApiDocument[],
  listener: string,
  method: MethodName,
  decide: Decide | undefined,
): ExplainedEndpoint {
  const said = documents.flatMap((document, index) => voicesOf(document, index === 0, listener, method));
  const opening = said.findLastIndex(({ ofBase, allows }) => ofBase && allows);
  const refusing = said.findIndex(({ allows }) => !allows);
  const deciding = refusing === -1 ? opening : refusing;
  const verdict = decide?.(method, listener);
  const allows = documents.length === 0 || (refusing === -1 && opening !== -1);
  const why = said[deciding];
  return {
    listener,
    method,
    served: verdict === undefined ? allows : verdict.outcome === 'allow',
    reason: verdict?.reason ?? (why === undefined ? 'there is no document' : `${why.says} (${why.source})`),
    voices: said.map(({ source, says, allows }, index) => ({
      source,
      says,
      allows,
      decides: index === deciding,
    })),
    rules: documents.flatMap(({ rules }) =>
      rules
        .filter(({ methods }) => methods.has(method))
        .map(({ name, span, enforcement }) => ({ name, source: place(span), enforcement })),
    ),
  };
}

type Said = Omit<Voice, 'decides'> & { readonly ofBase: boolean };

function voicesOf(
  document: ApiDocument,
  ofBase: boolean,
  listener: string,
  method: MethodName,
): readonly Said[] {
  const { file, release } = document;
  const own = document.listeners.get(listener);
  const said = [
    ...saidByLists(document, '', file, method),
    ...(own === undefined ? [] : saidByLists(own, ` of listener "${listener}"`, file, method)),
  ];
  if (release !== undefined && !existedIn(method, release)) {
    const says = `release = "${release}", and it came with ${endpoints[method].release}`;
    said.unshift({ source: file, says, allows: false });
  }
  if (ofBase && said.every(({ allows }) => !allows) && !hasLists(document) && !hasLists(own))
    said.push({ source: file, says: 'there is no list of endpoints', allows: false });
  return said.map((voice) => ({ ...voice, ofBase }));
}

function hasLists(lists: EndpointLists | undefined): boolean {
  return lists?.allowed !== undefined || lists?.blocked !== undefined;
}

type Words = Pick<Voice, 'source' | 'says' | 'allows'>;

function saidByLists(
  { allowed, blocked }: EndpointLists,
  of: string,
  file: string,
  method: MethodName,
): Words[] {
  const words: Words[] = [];
  const block = blocked?.get(method);
  const entry = allowed?.get(method);
  if (allowed !== undefined) {
    const source = entry?.span ?? allowed.values().next().value?.span;
    words.push({
      source: source === undefined ? file : place(source),
      says:
        entry === undefined
          ? `allowed_endpoints${of} does not have it`
          : `allowed_endpoints${of} has "${entry.entry}"`,
      allows: entry !== undefined,
    });
  }
  if (block !== undefined)
    words.push({
      source: place(block.span),
      says: `blocked_endpoints${of} has "${block.entry}"`,
      allows: false,
    });
  else if (blocked !== undefined && allowed === undefined)
    words.push({ source: file, says: `blocked_endpoints${of} does not have it`, allows: true });
  return words;
}
