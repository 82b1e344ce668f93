import type { Message } from '@bufbuild/protobuf';
import type { Decision, MethodName } from '@kata-agent/catalogue';
import type { ApiDocument, Configuration, ImageConfiguration, Rule } from '@kata-agent/config';
import { compileGate, type Gate } from './gate.js';
import type { PrivilegeAccess } from './privileged/privilege.js';
import { PrivilegeGate, type PrivilegeSettings } from './privileged/refuse-privileged.js';
import type { RuleContext } from './rule-context.js';
import type { RuleBook } from './rules/rule-book.js';

/** The rule book of a configuration without rules, at no cost per call. */
const noRules: RuleBook = { rules: [], hasRulesFor: () => false, decide: (allowed) => allowed };

/** Options of an authorizer besides the configuration. */
export interface AuthorizerOptions {
  /** The compiled rules of the configuration; absent when it has none or they are ignored. */
  readonly rules?: RuleBook;
  /** The methods whose handlers the program contains; by default all. */
  readonly builtIn?: ReadonlySet<MethodName> | undefined;
}

/**
 * Authorizes calls: by the lists, then by privileges, then by the rules. Immutable; `tighten` returns another
 * authorizer. The agent and all analysis of configurations use it.
 */
export class Authorizer {
  readonly #gate: Gate;
  readonly #privileges: PrivilegeGate;
  readonly #rules: RuleBook;
  readonly #verifiedLayers: boolean;

  constructor(gate: Gate, privileges: PrivilegeGate, rules: RuleBook = noRules, verifiedLayers = false) {
    this.#gate = gate;
    this.#privileges = privileges;
    this.#rules = rules;
    this.#verifiedLayers = verifiedLayers;
    Object.freeze(this);
  }

  /** The access that the configuration allows while privileged containers are denied. */
  get access(): PrivilegeAccess {
    return this.#privileges.access;
  }

  /** The rules in order of evaluation. */
  get rules(): readonly Rule[] {
    return this.#rules.rules;
  }

  /** Decides by the lists alone whether a listener may call a method. Never throws. */
  decide(listener: string, method: string): Decision {
    return this.#gate.decide(listener, method);
  }

  /**
   * Reports whether requests of the method are examined, by a rule or for privileges; otherwise the lists decide alone.
   */
  readsRequests(method: string): boolean {
    return this.#rules.hasRulesFor(method) || this.#privileges.concerns(method);
  }

  /**
   * Decides whether a request is allowed on this listener.
   *
   * @param context returns what rules see besides the request; called at most once, and only when a rule is evaluated.
   */
  authorize(listener: string, method: string, request: Message, context: () => RuleContext): Decision {
    const listed = this.#gate.decide(listener, method);
    if (listed.outcome === 'deny') return listed;
    const own = this.#privileges.decide(listed, request);
    if (own.outcome === 'deny' || !this.#rules.hasRulesFor(method)) return own;
    return this.#rules.decide(own, request, {
      ...context(),
      access: this.access,
      ...(this.#verifiedLayers ? { verifiedLayers: true } : {}),
    });
  }

  /** Returns the methods that the lists allow a listener to call. */
  served(listener: string): readonly MethodName[] {
    return this.#gate.served(listener);
  }

  /**
   * Returns an authorizer that allows what this one allows and the document does not deny.
   *
   * @param extend returns a rule book with the document's rules added.
   * @throws RangeError when the document's release is not of the form `3.21` or `3.21.0`, and what `extend` throws.
   */
  tighten(document: ApiDocument, extend: (book: RuleBook, rules: readonly Rule[]) => RuleBook): Authorizer {
    return new Authorizer(
      this.#gate.tighten(document),
      this.#privileges,
      extend(this.#rules, document.rules),
      this.#verifiedLayers,
    );
  }
}

/** Creates the authorizer of a configuration, for its own listeners. */
export function authorizerOf(
  configuration: Pick<Configuration, 'api' | 'listeners'> &
    PrivilegeSettings & { readonly image?: Pick<ImageConfiguration, 'layers'> },
  { rules, builtIn }: AuthorizerOptions = {},
): Authorizer {
  const listeners = configuration.listeners.map(({ name }) => name);
  const gate = compileGate(configuration, { listeners, ...(builtIn === undefined ? {} : { builtIn }) });
  const verifies = configuration.image?.layers === 'verified';
  return new Authorizer(gate, new PrivilegeGate(configuration), rules, verifies);
}
