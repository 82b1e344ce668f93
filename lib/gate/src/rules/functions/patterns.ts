import { RE2JS, RE2JSException } from '@bufbuild/re2';
import { type Frame, RuleError } from '../language/compiled.js';
import { ruleLimits } from '../language/limits.js';

/** Maximum number of states of a pattern's automaton; beyond it the engine runs without one. */
const maxStates = 512;

/** A regular expression with matching in linear time. */
export interface Pattern {
  /**
   * Reports whether part of the text matches.
   *
   * @throws RuleError when the text is too long | BudgetExceeded
   */
  test(text: string, frame: Frame): boolean;
}

/** A description of what is wrong with a pattern. */
export interface PatternFault {
  readonly fault: string;
}

/** The patterns of a rule, each compiled once. */
export class Patterns {
  readonly #known = new Map<string, Pattern | PatternFault>();

  get(source: string): Pattern | PatternFault {
    const known = this.#known.get(source);
    if (known !== undefined) return known;
    const compiled = compilePattern(source);
    this.#known.set(source, compiled);
    return compiled;
  }
}

/** Returns the fault of a pattern; undefined: it has none. */
export function patternFault(source: string): string | undefined {
  const compiled = compilePattern(source);
  return 'fault' in compiled ? compiled.fault : undefined;
}

function compilePattern(source: string): Pattern | PatternFault {
  if (source.length > ruleLimits.pattern)
    return { fault: `a pattern has at most ${ruleLimits.pattern} characters, this one has ${source.length}` };
  try {
    return patternOf(source);
  } catch (error) {
    const message = error instanceof Error ? error.message.replace(/^error parsing regexp: /, '') : '';
    // The message quotes the pattern, which may contain control characters.
    return { fault: `the pattern cannot be read: ${message.replaceAll(/[\x00-\x1f\x7f]/g, ' ')}` };
  }
}

/** @throws Error when the pattern is malformed. */
function patternOf(source: string): Pattern | PatternFault {
  const partial = engineOf(source);
  const instructions = partial.re2().prog.numInst();
  if (instructions > ruleLimits.patternInstructions)
    return {
      fault: `the pattern is too large: it becomes ${instructions} instructions, ${ruleLimits.patternInstructions} are allowed`,
    };
  // The engine for a whole match is made for the first one: the start of an agent does not wait for it.
  let matcher: { engine: RE2JS; readonly isWhole: boolean } | undefined;
  return {
    test(text: string, frame: Frame): boolean {
      if (text.length > ruleLimits.matchedText)
        throw new RuleError(`matches() takes ${ruleLimits.matchedText} characters, not ${text.length}`);
      // In the worst case each character is compared with each instruction.
      frame.spend((text.length * instructions) >> 2);
      matcher ??= matcherOf(source, partial);
      const { engine, isWhole } = matcher;
      const matched = isWhole ? engine.testExact(text) : engine.test(text);
      // An engine that exceeded its states several times never builds an automaton again, not even for short texts.
      if (engine.re2().dfa.failed) matcher.engine = engineOf(engine.pattern());
      return matched;
    },
  };
}

function matcherOf(source: string, partial: RE2JS): { engine: RE2JS; readonly isWhole: boolean } {
  const whole = wholeEngine(source);
  return whole === undefined ? { engine: partial, isWhole: false } : { engine: whole, isWhole: true };
}

/** Returns an engine for a whole match; undefined: the pattern looks for a part. */
function wholeEngine(source: string): RE2JS | undefined {
  const whole = wholePattern(source);
  if (whole === undefined) return undefined;
  try {
    return engineOf(whole);
  } catch (error) {
    // A repetition of `^`, as in `^*a$`.
    if (error instanceof RE2JSException) return undefined;
    throw error;
  }
}

function engineOf(source: string): RE2JS {
  const engine = RE2JS.compile(source);
  engine.re2().dfa.stateLimit = maxStates;
  return engine;
}

/**
 * Returns the pattern within `^…$`, which a whole text matches exactly if part of it matches the pattern. Undefined: it is not of this form, or
 * alternatives, flags or quotations make it uncertain.
 *
 * The engine evaluates `^` again at each character while it looks for a part; a whole match has no such states, and takes a tenth.
 */
export function wholePattern(source: string): string | undefined {
  const last = source.length - 1;
  if (last < 1 || !source.startsWith('^') || !source.endsWith('$')) return undefined;
  let depth = 0;
  for (let at = 1; at < last; at += 1) {
    const rest = source.slice(at, at + 3);
    if (rest.startsWith('\\')) {
      if (at + 1 === last || /^\\[QE]/.test(rest)) return undefined;
      at += 1;
    } else if (rest.startsWith('[')) {
      const end = endOfClass(source, at);
      if (end === undefined || end >= last) return undefined;
      at = end;
    } else if (rest.startsWith('(')) {
      if (rest.startsWith('(?') && rest !== '(?:') return undefined;
      depth += 1;
    } else if (rest.startsWith(')')) {
      depth -= 1;
    } else if (rest.startsWith('|') && depth === 0) {
      return undefined;
    }
    if (depth < 0) return undefined;
  }
  return depth === 0 ? source.slice(1, last) : undefined;
}

/** Returns the position of the `]` that ends a class: not one that is its first member, nor of a class of POSIX in it. */
function endOfClass(source: string, start: number): number | undefined {
  let at = source[start + 1] === '^' ? start + 2 : start + 1;
  if (source[at] === ']') at += 1;
  for (; at < source.length; at += 1) {
    if (source[at] === ']') return at;
    if (source[at] === '\\') at += 1;
    else if (source.startsWith('[:', at)) {
      const end = source.indexOf(':]', at + 2);
      if (end < 0) return undefined;
      at = end + 1;
    }
  }
  return undefined;
}
