import type { parse } from '@bufbuild/cel';

/** A node of the parsed expression. */
export type Expr = ReturnType<typeof parse>['expr'];
type Kind = NonNullable<Expr['exprKind']['case']>;

/** The contents of a node of one kind. */
export type NodeOf<K extends Kind> = Extract<Expr['exprKind'], { case: K }>['value'];

/** A macro as it was written: `items.all(name, test)`. */
export interface Macro {
  readonly name: string;
  readonly items: Expr;
  readonly variable: string;
  /** The condition on each item; absent for `map` with two arguments. */
  readonly test?: Expr;
  /** The value for each item; for `map` only. */
  readonly step?: Expr;
}

/**
 * Recovers a macro from the loop that the parser expanded it to.
 *
 * @throws Error when no macro expands to such a loop.
 */
export function macroOf(loop: NodeOf<'comprehensionExpr'>, name: string): Macro {
  const { iterRange, iterVar, loopStep } = loop;
  const [first, second] = argumentsOf(loopStep);
  if (iterRange !== undefined && first !== undefined && second !== undefined) {
    const macro = { name, items: iterRange, variable: iterVar };
    switch (name) {
      case 'all':
      case 'exists':
        return { ...macro, test: second };
      case 'exists_one':
      case 'existsOne':
      case 'filter':
        return { ...macro, test: first };
      case 'map': {
        // With a test: `test ? result + [step] : result`; without: `result + [step]`.
        const tested = loopStep?.exprKind.case === 'callExpr' && loopStep.exprKind.value.function === '_?_:_';
        const step = elementOf(tested ? argumentsOf(second)[1] : second);
        if (step !== undefined) return { ...macro, step, ...(tested ? { test: first } : {}) };
      }
    }
  }
  throw new Error(`the parser made an unknown loop of ${name}`);
}

/** Returns the children of a node that appear in the source. */
export function partsOf(expr: Expr): readonly Expr[] {
  const { exprKind } = expr;
  switch (exprKind.case) {
    case 'callExpr': {
      const { target, args } = exprKind.value;
      return target === undefined ? args : [target, ...args];
    }
    case 'selectExpr':
      return exprKind.value.operand === undefined ? [] : [exprKind.value.operand];
    case 'listExpr':
      return exprKind.value.elements;
    case 'structExpr':
      return exprKind.value.entries.flatMap(({ keyKind, value }) => [
        ...(keyKind.case === 'mapKey' ? [keyKind.value] : []),
        ...(value === undefined ? [] : [value]),
      ]);
    case 'comprehensionExpr': {
      const { iterRange, loopStep } = exprKind.value;
      return [iterRange, loopStep].filter((part) => part !== undefined);
    }
    default:
      return [];
  }
}

function argumentsOf(expr: Expr | undefined): readonly Expr[] {
  return expr?.exprKind.case === 'callExpr' ? expr.exprKind.value.args : [];
}

function elementOf(expr: Expr | undefined): Expr | undefined {
  return expr?.exprKind.case === 'listExpr' ? expr.exprKind.value.elements[0] : undefined;
}
