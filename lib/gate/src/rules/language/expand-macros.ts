import type { Expr, NodeOf } from './expression.js';

/** Makes nodes with consecutive ids. */
export interface NodeMaker {
  node(offset: number, exprKind: Expr['exprKind']): Expr;
  call(offset: number, name: string, args: Expr[]): Expr;
}

/** A call of a method: `target.name(args)`. */
export interface MemberCall {
  readonly target: Expr;
  readonly name: string;
  readonly args: Expr[];
}

const accumulator = '@result';

/**
 * Returns the loop that a macro means, as CEL's specification defines it. Undefined: the call is not a macro. All nodes have the macro's
 * offset; the order in which they are made, and thereby their ids, are those of @bufbuild/cel.
 */
export function expandedMacro(
  maker: NodeMaker,
  offset: number,
  { target, name, args }: MemberCall,
): Expr | undefined {
  const [variable, first, second] = args;
  if (variable?.exprKind.case !== 'identExpr' || first === undefined) return undefined;
  const iterVar = variable.exprKind.value.name;
  const call = (operator: string, ...operands: Expr[]): Expr => maker.call(offset, operator, operands);
  const constant = (constantKind: NodeOf<'constExpr'>['constantKind']): Expr =>
    maker.node(offset, { case: 'constExpr', value: { $typeName: 'cel.expr.Constant', constantKind } });
  const boolean = (value: boolean): Expr => constant({ case: 'boolValue', value });
  const number = (value: bigint): Expr => constant({ case: 'int64Value', value });
  const named = (identifier: string): Expr =>
    maker.node(offset, { case: 'identExpr', value: { $typeName: 'cel.expr.Expr.Ident', name: identifier } });
  const result = (): Expr => named(accumulator);
  const list = (...elements: Expr[]): Expr =>
    maker.node(offset, {
      case: 'listExpr',
      value: { $typeName: 'cel.expr.Expr.CreateList', elements, optionalIndices: [] },
    });
  const loop = (parts: Record<'accuInit' | 'loopCondition' | 'loopStep' | 'result', Expr>): Expr =>
    maker.node(offset, {
      case: 'comprehensionExpr',
      value: {
        $typeName: 'cel.expr.Expr.Comprehension',
        accuVar: accumulator,
        iterVar,
        iterVar2: '',
        iterRange: target,
        ...parts,
      },
    });
  const listLoop = (loopStep: Expr): Expr =>
    loop({ accuInit: list(), loopCondition: boolean(true), loopStep, result: result() });
  switch (`${name} ${args.length}`) {
    case 'all 2': {
      const loopStep = call('_&&_', result(), first);
      const loopCondition = call('@not_strictly_false', result());
      return loop({ accuInit: boolean(true), loopCondition, loopStep, result: result() });
    }
    case 'exists 2': {
      const loopStep = call('_||_', result(), first);
      const loopCondition = call('@not_strictly_false', call('!_', result()));
      return loop({ accuInit: boolean(false), loopCondition, loopStep, result: result() });
    }
    case 'exists_one 2':
    case 'existsOne 2':
      return loop({
        accuInit: number(0n),
        loopCondition: boolean(true),
        loopStep: call('_?_:_', first, call('_+_', result(), number(1n)), result()),
        result: call('_==_', result(), number(1n)),
      });
    case 'map 2':
      return listLoop(call('_+_', result(), list(first)));
    case 'map 3':
      return second && listLoop(call('_?_:_', first, call('_+_', result(), list(second)), result()));
    case 'filter 2':
      return listLoop(call('_?_:_', first, call('_+_', result(), list(named(iterVar))), result()));
    default:
      return undefined;
  }
}
