import { type MethodName, methodNames } from '@kata-agent/catalogue';
import type { ApiDocument, Configuration } from '@kata-agent/config';
import { type Decision, decision } from './decision.js';
import { baseVerdict, laterVerdict, type Verdict } from './restriction.js';

/** Decides which listener may call which method. It never changes; to tighten it is to make another. */
export interface Gate {
  /** Never throws. What is not known, listener or method, is denied. */
  decide(listener: string, method: string): Decision;
  /**
   * A gate that serves what this one does and the document does not refuse. Nothing that a document says can make it
   * serve more.
   *
   * @throws RangeError when the document's release is not of the form `3.21` or `3.21.0`; this gate then stands.
   */
  tighten(document: ApiDocument): Gate;
  /** The methods that a listener may call, in the order of the .proto. */
  served(listener: string): readonly MethodName[];
}

/** What a gate is compiled for. */
export interface GateOptions {
  /** The names of all listeners. */
  readonly listeners: readonly string[];
  /** The methods whose handlers the bundle contains; all of them if absent. */
  readonly builtIn?: ReadonlySet<MethodName>;
}

type Table = ReadonlyMap<string, ReadonlyMap<string, Decision>>;

/**
 * Works out every decision at once, so that deciding is looking up. A method is served when each step says so: its
 * handler is in the bundle, its release is not too late, the base document opens it, no later document refuses it.
 *
 * @throws RangeError when a document's release is not of the form `3.21` or `3.21.0`.
 */
export function compileGate(configuration: Pick<Configuration, 'api'>, options: GateOptions): Gate {
  const [base, ...later] = configuration.api.documents;
  const table = new Map(
    options.listeners.map((listener) => [
      listener,
      new Map(
        methodNames.map((method) => {
          const { outcome, reason } = firstVerdict(base, listener, method, options.builtIn);
          return [method, decision(outcome, listener, method, reason)];
        }),
      ),
    ]),
  );
  return gateOf(later.reduce<Table>(narrow, table));
}

function firstVerdict(
  base: ApiDocument | undefined,
  listener: string,
  method: MethodName,
  builtIn: ReadonlySet<MethodName> | undefined,
): Verdict {
  if (builtIn?.has(method) === false)
    return { outcome: 'deny', reason: 'its handler was left out of this build' };
  if (base === undefined)
    return { outcome: 'allow', reason: 'there is no configuration, so everything is served' };
  return baseVerdict(base, listener, method);
}

/** What was denied stays denied, whatever the document says: the reason why a gate cannot be loosened. */
function narrow(table: Table, document: ApiDocument): Table {
  return new Map(
    [...table].map(([listener, decisions]) => [listener, narrowListener(decisions, listener, document)]),
  );
}

function narrowListener(
  decisions: ReadonlyMap<string, Decision>,
  listener: string,
  document: ApiDocument,
): ReadonlyMap<string, Decision> {
  const narrowed = new Map(decisions);
  for (const method of methodNames) {
    const before = decisions.get(method);
    if (before?.outcome !== 'allow') continue;
    const verdict = laterVerdict(document, listener, method);
    if (verdict !== undefined)
      narrowed.set(method, decision(verdict.outcome, listener, method, verdict.reason));
  }
  return narrowed;
}

function gateOf(table: Table): Gate {
  return Object.freeze({
    decide(listener: string, method: string): Decision {
      const decisions = table.get(listener);
      return (
        decisions?.get(method) ??
        decision('deny', listener, method, decisions === undefined ? 'unknown listener' : 'unknown method')
      );
    },
    tighten: (document: ApiDocument): Gate => gateOf(narrow(table, document)),
    served: (listener: string): readonly MethodName[] =>
      methodNames.filter((method) => table.get(listener)?.get(method)?.outcome === 'allow'),
  });
}
