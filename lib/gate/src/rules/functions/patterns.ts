import { RE2JS, RE2JSException } from '@bufbuild/re2';
import { type Frame, RuleError } from '../language/frame.js';
import { ruleLimits } from '../language/limits.js';
import { wholePattern } from './whole-pattern.js';

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
  const instructions = engineOf(source).re2().prog.numInst();
  if (instructions > ruleLimits.patternInstructions)
    return {
      fault: `the pattern is too large: it becomes ${instructions} instructions, ${ruleLimits.patternInstructions} are allowed`,
    };
  const whole = wholeEngine(source);
  let engine = whole ?? engineOf(source);
  const tests = whole === undefined ? source : engine.pattern();
  return {
    test(text: string, frame: Frame): boolean {
      if (text.length > ruleLimits.matchedText)
        throw new RuleError(`matches() takes ${ruleLimits.matchedText} characters, not ${text.length}`);
      // In the worst case each character is compared with each instruction.
      frame.spend((text.length * instructions) >> 2);
      const matched = whole === undefined ? engine.test(text) : engine.testExact(text);
      // An engine that exceeded its states several times never builds an automaton again, not even for short texts.
      if (engine.re2().dfa.failed) engine = engineOf(tests);
      return matched;
    },
  };
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
