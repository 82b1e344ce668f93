import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import { type ApiDocument, type Configuration, type Rule, renderDiagnostic } from '@kata-agent/config';
import {
  type Decision,
  type Gate,
  type PrivilegeAccess,
  PrivilegeGate,
  type RuleContext,
} from '@kata-agent/gate';
import type { RuleBook } from '@kata-agent/gate/rules';
import { loadRules, noRules } from './rules.js';

/** The gate and the rules in force. They are replaced by narrower ones only, and only through `narrow` (S4). */
export class Policy {
  #gate: Gate;
  #rules: RuleBook;
  /** Nothing changes it: it is no document's. */
  readonly #privileges: PrivilegeGate;
  #revision = 0;

  constructor(gate: Gate, privileges: PrivilegeGate, rules: RuleBook = noRules) {
    this.#gate = gate;
    this.#privileges = privileges;
    this.#rules = rules;
  }

  /** The policy of a configuration. CEL is loaded only when there is a rule. */
  static async of(gate: Gate, configuration: Configuration): Promise<Policy> {
    const privileges = new PrivilegeGate(configuration);
    const rules = configuration.api.documents.flatMap((document) => document.rules);
    if (rules.length === 0) return new Policy(gate, privileges);
    const { compileRules } = await loadRules();
    return new Policy(gate, privileges, compileRules(rules));
  }

  /** What the configuration opens while privileged containers are refused. */
  get access(): PrivilegeAccess {
    return this.#privileges.access;
  }

  /** Another one each time that it was narrowed. */
  get revision(): number {
    return this.#revision;
  }

  /** By the lists: whether a listener may call a method at all. */
  decide(listener: string, method: string): Decision {
    return this.#gate.decide(listener, method);
  }

  /** Whether its requests are looked at, by some rule or by the agent itself; if not, `judge` need not be asked. */
  ruled(method: string): boolean {
    return this.#rules.hasRulesFor(method) || this.#privileges.concerns(method);
  }

  /** By the agent itself, then by the rules: whether this request, which the lists let through, may pass. */
  judge(listed: Decision, request: Message, context: RuleContext): Decision {
    const own = this.#privileges.decide(listed, request);
    if (own.outcome === 'deny') return own;
    return this.#rules.decide(own, request, { ...context, access: this.access });
  }

  /** The methods that a listener may call now, if the rules agree. */
  served(listener: string): readonly MethodName[] {
    return this.#gate.served(listener);
  }

  /**
   * Narrows what is served by a document. Returns why it cannot be taken, and changes nothing then. Nothing waits in
   * here: of two that come at once, the second narrows what the first left.
   *
   * @param extend makes a rule book with the document's rules too.
   */
  narrow(
    document: ApiDocument,
    extend: (book: RuleBook, rules: readonly Rule[]) => RuleBook,
  ): string | undefined {
    const names = new Set(this.#rules.rules.map(({ name }) => name));
    const taken = document.rules.find(({ name }) => names.has(name));
    if (taken !== undefined) return nameIsTaken(taken);
    const gate = this.#gate.tighten(document);
    const rules = extend(this.#rules, document.rules);
    this.#gate = gate;
    this.#rules = rules;
    this.#revision += 1;
    return undefined;
  }
}

function nameIsTaken({ name, span }: Rule): string {
  const message = `a rule ${JSON.stringify(name)} stands already`;
  return renderDiagnostic({ severity: 'error', message, span, help: 'give this one another name' });
}
