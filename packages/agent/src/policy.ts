import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import { type ApiDocument, type Configuration, type Rule, renderDiagnostic } from '@kata-agent/config';
import type { Decision, Gate, RuleContext } from '@kata-agent/gate';
import type { RuleBook } from '@kata-agent/gate/rules';
import { loadRules, noRules } from './rules.js';

/** The gate and the rules in force. They are replaced by narrower ones only, and only through `narrow` (S4). */
export class Policy {
  #gate: Gate;
  #rules: RuleBook;
  #revision = 0;

  constructor(gate: Gate, rules: RuleBook = noRules) {
    this.#gate = gate;
    this.#rules = rules;
  }

  /** The policy of a configuration. CEL is loaded only when there is a rule. */
  static async of(gate: Gate, { api }: Pick<Configuration, 'api'>): Promise<Policy> {
    const rules = api.documents.flatMap((document) => document.rules);
    if (rules.length === 0) return new Policy(gate);
    const { compileRules } = await loadRules();
    return new Policy(gate, compileRules(rules));
  }

  /** Another one each time that it was narrowed. */
  get revision(): number {
    return this.#revision;
  }

  /** By the lists: whether a listener may call a method at all. */
  decide(listener: string, method: string): Decision {
    return this.#gate.decide(listener, method);
  }

  /** Whether some rule stands for the method; if none does, `judge` need not be asked. */
  ruled(method: string): boolean {
    return this.#rules.hasRulesFor(method);
  }

  /** By the rules: whether this request, which the lists let through, may pass. */
  judge(listed: Decision, request: Message, context: RuleContext): Decision {
    return this.#rules.decide(listed, request, context);
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
