import type { Decision, MethodName } from '@kata-agent/catalogue';
import { isMessage, type Message } from '@bufbuild/protobuf';
import type { RefusalCode } from '@kata-agent/catalogue/codes';
import { guestPull } from '@kata-agent/catalogue/request-features';
import type { Rule } from '@kata-agent/config';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { ImageProcess } from '../entrypoint/image-process.js';
import { privilegesOf } from '../privileged/privileges-of.js';
import { describePrivileges } from '../privileged/refuse-privileged.js';
import type { RuleContext } from '../rule-context.js';
import { CompiledRule, compileRule, type Plan } from './compile/compile-rule.js';
import { BudgetExceeded, Frame, RuleError, type Value } from './language/compiled.js';
import { ruleLimits } from './language/limits.js';
import { imageProcessName } from './names/image-names.js';
import type { RuleName } from './names/rule-name.js';

/** Compiled rules. Immutable; adding rules returns another book. */
export interface RuleBook {
  /** The rules in order of evaluation. */
  readonly rules: readonly Rule[];
  /** Reports whether a rule applies to the method; otherwise a call has no cost. */
  hasRulesFor(method: string): boolean;
  /**
   * Evaluates all rules of the method on a call that the lists allow (`allowed`). Never throws: an error, an exceeded
   * budget or a non-boolean value denies, and names the rule.
   */
  decide(allowed: Decision, request: Message, context: RuleContext): Decision;
}

/**
 * Compiles checked rules, once, before any listener opens.
 *
 * @throws Error when a rule is invalid, naming it and its first fault.
 */
export function compileRules(rules: readonly Rule[]): RuleBook {
  return CompiledRules.empty.with(rules);
}

/**
 * Returns a book with more rules, which can only deny more.
 *
 * @throws Error as `compileRules`; the given book is unchanged.
 */
export function extendRules(book: RuleBook, rules: readonly Rule[]): RuleBook {
  if (rules.length === 0) return book;
  return (book instanceof CompiledRules ? book : CompiledRules.empty.with(book.rules)).with(rules);
}

/** A rule compiled for one method. */
interface Entry {
  readonly rule: Rule;
  readonly plan: Plan;
}

/** A rule that is compiled at the first call of its method. */
class LazyEntry implements Entry {
  readonly rule: Rule;
  readonly #method: MethodName;
  #plan: Plan | undefined;

  constructor(rule: Rule, method: MethodName) {
    this.rule = rule;
    this.#method = method;
  }

  /** One that does not compile denies. */
  get plan(): Plan {
    this.#plan ??= this.#compile();
    return this.#plan;
  }

  #compile(): Plan {
    try {
      const { faults, plans } = compiledOf(this.rule);
      const fault = faults.find(({ severity }) => severity === 'error');
      const plan = plans.get(this.#method);
      if (fault === undefined && plan !== undefined) return plan;
      return denying(fault?.message ?? `it is not for ${this.#method}`);
    } catch (error) {
      // A bug of the compiler denies as well.
      return denying(`it failed inside the agent: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** The plan of a rule that cannot be evaluated. */
function denying(why: string): Plan {
  return {
    run: () => {
      throw new RuleError(why);
    },
    weight: 0,
    inputs: [],
    slots: 0,
  };
}

type Entries = ReadonlyMap<string, readonly Entry[]>;

/** A rule book of compiled rules. */
class CompiledRules implements RuleBook {
  readonly rules: readonly Rule[];
  readonly #entries: Entries;

  private constructor(rules: readonly Rule[], entries: Entries) {
    this.rules = Object.freeze([...rules]);
    this.#entries = entries;
    Object.freeze(this);
  }

  static readonly empty: CompiledRules = new CompiledRules([], new Map());

  hasRulesFor(method: string): boolean {
    return this.#entries.has(method);
  }

  decide(allowed: Decision, request: Message, context: RuleContext): Decision {
    const entries = this.#entries.get(allowed.method);
    return entries === undefined || allowed.outcome === 'deny'
      ? allowed
      : decide(entries, allowed, new CallValues(request, context));
  }

  /** @throws Error when a rule is invalid, naming it and its first fault. */
  with(rules: readonly Rule[]): CompiledRules {
    const entries = new Map(this.#entries);
    const add = (method: string, entry: Entry): void => {
      entries.set(method, [...(entries.get(method) ?? []), entry]);
    };
    for (const rule of rules) {
      if (rule.profile !== undefined) {
        for (const method of rule.methods.keys()) add(method, new LazyEntry(rule, method));
        continue;
      }
      const { faults, plans } = compiledOf(rule);
      const fault = faults.find(({ severity }) => severity === 'error');
      if (fault !== undefined)
        throw new Error(`rule "${rule.name}" (${rule.span.file}:${rule.span.line}): ${fault.message}`);
      for (const [method, plan] of plans) add(method, { rule, plan });
    }
    return new CompiledRules([...this.rules, ...rules], entries);
  }
}

/** Returns the rule as compiled by its checker; compiles it when it was not checked, or was changed since. */
function compiledOf({ expression, checked, methods, profile }: Rule): CompiledRule {
  const source = { expression, methods: [...methods.keys()], values: profile?.values };
  return checked instanceof CompiledRule && checked.isOf(source) ? checked : compileRule(source);
}

function decide(entries: readonly Entry[], allowed: Decision, values: CallValues): Decision {
  let decision = allowed;
  const pending: string[] = [];
  for (const { rule, plan } of entries) {
    if (usesImage(plan) && values.imageIsPending) {
      pending.push(rule.name);
      continue;
    }
    const refused = refusal(plan, values);
    if (refused === undefined) continue;
    const reason = `${refused.description}${privilegesNamed(plan, values)}${values.imageDifference()}`;
    const place = `(${rule.span.file}:${rule.span.line})`;
    if (rule.enforcement === 'enforce')
      return denied(refused.code, allowed, rule, `rule "${rule.name}" ${reason} ${place}`);
    // The first rule that would deny is named, as if it were enforced.
    if (decision === allowed)
      decision = Object.freeze({
        ...allowed,
        rule: rule.name,
        reason: `rule "${rule.name}" is only recorded: it ${reason} ${place}`,
      });
  }
  return pending.length === 0 ? decision : Object.freeze({ ...decision, pending });
}

const imageNames: ReadonlySet<string> = new Set(['image', 'verified_layers']);

/** Rules about the image are evaluated again, and then, when the guest has it. */
function usesImage({ inputs }: Plan): boolean {
  return inputs.some(({ name }) => imageNames.has(name.name) || name === imageProcessName);
}

function denied(code: RefusalCode, allowed: Decision, rule: Rule, reason: string): Decision {
  return Object.freeze({
    ...allowed,
    outcome: 'deny',
    code,
    rule: rule.name,
    reason,
    ...(rule.message === undefined ? {} : { message: rule.message }),
    ...(rule.onDeniedRead === undefined ? {} : { onDeniedRead: rule.onDeniedRead }),
  });
}

/** Names the privileges of the request for a rule that uses them, because a rule's message is fixed. */
function privilegesNamed({ inputs }: Plan, values: CallValues): string {
  return inputs.some(({ name }) => name.name.startsWith('privileged')) ? values.privileges() : '';
}

/** Why a rule denies a call. */
interface RuleRefusal {
  readonly code: RefusalCode;
  readonly description: string;
}

/** Returns why a rule denies a call; undefined when it does not. Any failure denies. */
function refusal(plan: Plan, values: CallValues): RuleRefusal | undefined {
  values.forgetDifference();
  try {
    const frame = new Frame(plan.slots, ruleLimits.steps);
    for (const { name, slot } of plan.inputs) frame.slots[slot] = values.get(name);
    frame.spend(plan.weight);
    const value = plan.run(frame);
    if (value === true) return undefined;
    return value === false
      ? { code: 'KA3101', description: 'refused it' }
      : { code: 'KA3102', description: 'gave something that is neither true nor false' };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Any other error is a bug, and denies as well.
    const description =
      error instanceof RuleError || error instanceof BudgetExceeded
        ? `could not be evaluated: ${message}`
        : `failed inside the agent: ${message}`;
    return { code: 'KA3102', description };
  }
}

/** The values of names for one call, each computed once for all rules. */
export class CallValues {
  readonly #request: Message;
  readonly #context: RuleContext;
  readonly #known = new Map<string, Value>();

  constructor(request: Message, context: RuleContext) {
    this.#request = request;
    this.#context = context;
  }

  /** Reports whether the guest is to get the image of the container, and does not have it yet. */
  get imageIsPending(): boolean {
    return this.#context.image === undefined && asksForPull(this.#request);
  }

  /** Returns ` (capabilities (CAP_SYS_ADMIN))`; empty when the request is not privileged. */
  privileges(): string {
    const found = privilegesOf(this.#request, this.#context.access);
    return found.length === 0 ? '' : ` (${describePrivileges(found)})`;
  }

  /** Returns ` (args[0] differs)`; empty if the last rule did not compare the process with its image, or found no difference. */
  imageDifference(): string {
    const difference = this.#imageProcess?.difference;
    return difference === undefined ? '' : ` (${difference})`;
  }

  /** Forgets the difference: another rule is evaluated. */
  forgetDifference(): void {
    this.#imageProcess?.forget();
  }

  get #imageProcess(): ImageProcess | undefined {
    const known = this.#known.get(imageProcessName.name);
    return known instanceof ImageProcess ? known : undefined;
  }

  /** @throws RuleError */
  get(name: RuleName): Value {
    const known = this.#known.get(name.name);
    if (known !== undefined) return known;
    const value = name.read(this.#request, this.#context);
    this.#known.set(name.name, value);
    return value;
  }
}

/** Reports whether a request creates a container whose root the guest gets itself: it pulls it, or has it. */
function asksForPull(request: Message): boolean {
  return (
    isMessage(request, CreateContainerRequestSchema) &&
    request.storages.some(({ driver }) => driver === guestPull)
  );
}
