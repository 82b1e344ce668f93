import { RE2JS } from '@bufbuild/re2';
import { type Frame, RuleError } from '../language/frame.js';
import { ruleLimits } from '../language/limits.js';

/** States of an automaton that are kept from one text to the next. */
const keptStates = 1_000;
/** Steps for a state that a text adds to the automaton: it takes as long as these. */
const stepsPerState = 20;

/** A regular expression that is matched in time linear in the text. */
export interface Pattern {
  /**
   * Whether some part of the text matches.
   *
   * @throws RuleError when the text is too long | BudgetExceeded
   */
  test(text: string, frame: Frame): boolean;
}

/** What is wrong with a pattern, for people. */
export interface PatternFault {
  readonly fault: string;
}

/** All patterns of some rules, each compiled once. */
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
  let engine: RE2JS;
  try {
    engine = RE2JS.compile(source);
  } catch (error) {
    const said = error instanceof Error ? error.message.replace(/^error parsing regexp: /, '') : '';
    return { fault: `the pattern cannot be read: ${said}` };
  }
  const instructions = engine.re2().prog.numInst();
  if (instructions > ruleLimits.patternInstructions)
    return {
      fault: `the pattern is too large: it becomes ${instructions} instructions, ${ruleLimits.patternInstructions} are allowed`,
    };
  return {
    test(text: string, frame: Frame): boolean {
      if (text.length > ruleLimits.matchedText)
        throw new RuleError(
          `a text of ${text.length} characters is too long for matches(), which takes ${ruleLimits.matchedText}`,
        );
      frame.spend(text.length >> 2);
      const before = engine.re2().dfa.stateCount;
      const matched = engine.test(text);
      const { stateCount } = engine.re2().dfa;
      // The engine falls back to a slow method at 10,000 states. It is renewed long before, so that it never gets there.
      if (stateCount > keptStates) engine = RE2JS.compile(source);
      frame.spend(Math.max(0, stateCount - before) * stepsPerState);
      return matched;
    },
  };
}
