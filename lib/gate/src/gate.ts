import { allow, type Decision, deny, type MethodName, methodNames } from '@kata-agent/catalogue';
import type { ApiDocument, Configuration } from '@kata-agent/config';
import { type Finding, findingsIn, findingsOn, servedBy } from '@kata-agent/config/served';

/** Decides which listener may call which method. Immutable; `tighten` returns another gate. */
export interface Gate {
  /** Returns the decision on a method. Never throws: an unknown listener or method is denied. */
  decide(listener: string, method: string): Decision;
  /**
   * Returns a gate that serves what this one serves and the document does not deny. No document can make it serve more.
   *
   * @throws RangeError when the document's release is not of the form `3.21` or `3.21.0`; this gate is unchanged.
   */
  tighten(document: ApiDocument): Gate;
  /** Returns the methods that a listener may call, in the order of the .proto. */
  served(listener: string): readonly MethodName[];
}

/** Options for compiling a gate. */
export interface GateOptions {
  /** The names of all listeners. */
  readonly listeners: readonly string[];
  /** The methods whose handlers the bundle contains; by default all. */
  readonly builtIn?: ReadonlySet<MethodName>;
}

type Table = ReadonlyMap<string, ReadonlyMap<string, Decision>>;

/**
 * Computes every decision in advance, so that deciding is a lookup. A method is served when its handler is in the
 * bundle, its release is not newer than the pin, the base document opens it, and no further document denies it.
 *
 * @throws RangeError when a document's release is not of the form `3.21` or `3.21.0`.
 */
export function compileGate(configuration: Pick<Configuration, 'api'>, options: GateOptions): Gate {
  const { documents } = configuration.api;
  const decide = (listener: string, method: MethodName): Decision =>
    decisionBy(findingsOn(documents, listener, method, options.builtIn), listener, method);
  return gateOf(
    new Map(
      options.listeners.map((listener) => [
        listener,
        new Map(methodNames.map((method) => [method, decide(listener, method)])),
      ]),
    ),
  );
}

function decisionBy(findings: readonly Finding[], listener: string, method: MethodName): Decision {
  const { code, reason } = servedBy(findings, method);
  return code === undefined ? allow(listener, method, reason) : deny(code, listener, method, reason);
}

/** A denied method stays denied, whatever the document description: this is why a gate cannot be loosened. */
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
    if (decisions.get(method)?.outcome !== 'allow') continue;
    const findings = findingsIn(document, false, listener, method);
    if (findings.some(({ allows }) => !allows)) narrowed.set(method, decisionBy(findings, listener, method));
  }
  return narrowed;
}

function gateOf(table: Table): Gate {
  return Object.freeze({
    decide(listener: string, method: string): Decision {
      const decisions = table.get(listener);
      return (
        decisions?.get(method) ??
        deny('KA3006', listener, method, decisions === undefined ? 'unknown listener' : 'unknown method')
      );
    },
    tighten: (document: ApiDocument): Gate => gateOf(narrow(table, document)),
    served: (listener: string): readonly MethodName[] =>
      methodNames.filter((method) => table.get(listener)?.get(method)?.outcome === 'allow'),
  });
}
