import type { Message } from '@bufbuild/protobuf';
import type { MethodName } from '@kata-agent/catalogue';
import {
  type ApiDocument,
  type Configuration,
  renderDiagnostic,
  type Rule,
  type RuleChecker,
} from '@kata-agent/config';
import {
  type Authorizer,
  authorizerOf,
  type Decision,
  type PrivilegeAccess,
  type RuleContext,
} from '@kata-agent/gate';
import type * as gateRules from '@kata-agent/gate/rules';
import type { RuleBook } from '@kata-agent/gate/rules';
import { builtInMethods } from '../build.js';

/** The authorizer in force. It is only replaced by narrower ones, and only by `narrow` (S4). */
export class Policy {
  #authorizer: Authorizer;
  #revision = 0;
  /** Whether an inner agent does the work (`[agent] forward`): rules cannot use the state of the guest. */
  readonly forwards: boolean;

  constructor(authorizer: Authorizer, { forwards = false }: { readonly forwards?: boolean } = {}) {
    this.#authorizer = authorizer;
    this.forwards = forwards;
  }

  /** Creates the policy of a configuration. CEL is loaded only if there is a rule. */
  static async of(configuration: Configuration): Promise<Policy> {
    const rules = configuration.api.documents.flatMap((document) => document.rules);
    const builtIn = builtInMethods();
    const forwards = configuration.settings.forward !== undefined;
    if (rules.length === 0) return new Policy(authorizerOf(configuration, { builtIn }), { forwards });
    const { compileRules } = await loadRules();
    const authorizer = authorizerOf(configuration, { builtIn, rules: compileRules(rules) });
    return new Policy(authorizer, { forwards });
  }

  /** The access that the configuration allows while privileged containers are denied. */
  get access(): PrivilegeAccess {
    return this.#authorizer.access;
  }

  /** Replaced each time that the policy is narrowed. */
  get revision(): number {
    return this.#revision;
  }

  /** Decides by the lists whether a listener may call a method at all. */
  decide(listener: string, method: string): Decision {
    return this.#authorizer.decide(listener, method);
  }

  /** Reports whether requests of the method are evaluated; if not, `decide` is the whole decision. */
  readsRequests(method: string): boolean {
    return this.#authorizer.readsRequests(method);
  }

  /** Decides whether this request is allowed on this listener. `context` is called only if a rule is evaluated. */
  authorize(listener: string, method: string, request: Message, context: () => RuleContext): Decision {
    return this.#authorizer.authorize(listener, method, request, context);
  }

  /** Returns the methods that a listener may call, subject to rules. */
  served(listener: string): readonly MethodName[] {
    return this.#authorizer.served(listener);
  }

  /**
   * Narrows what is served by a document. Returns why it is rejected, and then changes nothing. It is synchronous: of
   * two concurrent documents the second narrows the result of the first.
   *
   * @param extend makes a rule book that includes the document's rules.
   */
  narrow(
    document: ApiDocument,
    extend: (book: RuleBook, rules: readonly Rule[]) => RuleBook,
  ): string | undefined {
    const names = new Set(this.#authorizer.rules.map(({ name }) => name));
    const taken = document.rules.find(({ name }) => names.has(name));
    if (taken !== undefined) return nameIsTaken(taken);
    this.#authorizer = this.#authorizer.tighten(document, extend);
    this.#revision += 1;
    return undefined;
  }
}

function nameIsTaken({ name, span }: Rule): string {
  const message = `a rule ${JSON.stringify(name)} already exists`;
  return renderDiagnostic({
    severity: 'error',
    code: 'KA1107',
    message,
    span,
    help: 'choose another name',
  });
}

/**
 * Loads CEL. It costs time and memory, so it is loaded with the first rule and not before (docs/records/measurements.md, "Start
 * and memory").
 */
export function loadRules(): Promise<typeof gateRules> {
  return import('@kata-agent/gate/rules');
}

/** Checks the rules of a document when it is loaded. */
export async function ruleChecker(): Promise<RuleChecker> {
  const { createRuleChecker } = await loadRules();
  return createRuleChecker();
}
