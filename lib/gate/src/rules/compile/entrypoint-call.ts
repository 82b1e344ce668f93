import { nearest } from '@kata-agent/config';
import type { EntrypointOptions, ImageProcess } from '../../entrypoint/image-process.js';
import type { Compiled } from '../language/compiled.js';
import type { Expr, NodeOf } from '../language/expression.js';
import { bool, type Type } from '../language/type.js';
import { imageProcessName } from '../names/image-names.js';
import { type Context, weightOf, withArticle } from './context.js';

/** The function, as the reference lists it. */
export const entrypointFunction: {
  readonly name: string;
  readonly form: string;
  readonly doc: string;
} = {
  name: 'runs_image_entrypoint',
  form: 'runs_image_entrypoint(), runs_image_entrypoint(args), runs_image_entrypoint({"args": […], …})',
  doc:
    'Whether the container runs the process that its image declares: see [below](#the-process-of-an-image). ' +
    'Only of CreateContainer, and only true after the built-in puller has pulled the image.',
};

const keys = ['args', 'env', 'mounts', 'user', 'groups', 'cwd'] as const;
type Key = (typeof keys)[number];

/** `runs_image_entrypoint()`, with the arguments after the entrypoint, or with a map of what may differ. */
export function entrypointCall(expr: Expr, node: NodeOf<'callExpr'>, context: Context): Compiled {
  const { name, methods, ofGuest = [] } = imageProcessName;
  const variable = context.variable(name);
  if (variable === undefined)
    return context.fault(
      'KA1302',
      context.ranges.operator(expr),
      `${context.method} has no ${name}`,
      `${methods.join(' and ')} has it`,
    );
  if (ofGuest.includes(context.method)) context.useOfGuest(name, context.ranges.of(expr));
  const [argument, another] = node.args;
  if (node.target !== undefined || another !== undefined)
    return context.fault('KA1305', context.ranges.of(expr), `it is written ${entrypointFunction.form}`);
  const options = argument === undefined ? new Map<Key, Compiled>() : optionsOf(argument, context);
  if (!(options instanceof Map)) return options;
  const { slot } = variable;
  return {
    type: bool,
    weight: weightOf([...options.values()]),
    run: (frame) => {
      const process = frame.slots[slot] as ImageProcess;
      const given = (key: Key): readonly string[] | undefined =>
        options.get(key)?.run(frame) as readonly string[] | undefined;
      const args = given('args');
      const listed: EntrypointOptions = {
        ...(args === undefined ? {} : { args }),
        env: given('env') ?? [],
        mounts: given('mounts') ?? [],
        user: given('user') ?? [],
        groups: given('groups') ?? [],
        cwd: given('cwd') ?? [],
      };
      frame.spend(process.size * (1 + listed.env.length));
      return process.isDeclared(listed);
    },
  };
}

/** Compiles the argument: a list is the map with `args` alone. A fault is returned as it is. */
function optionsOf(argument: Expr, context: Context): Map<Key, Compiled> | Compiled {
  const { exprKind } = argument;
  if (exprKind.case !== 'structExpr') {
    const args = texts(argument, context);
    return args.type.kind === 'nothing' ? args : new Map([['args', args]]);
  }
  const options = new Map<Key, Compiled>();
  for (const { keyKind, value } of exprKind.value.entries) {
    if (keyKind.case !== 'mapKey' || value === undefined)
      return context.fault(
        'KA1310',
        context.ranges.of(argument),
        'a map has a key and a value in each entry',
      );
    const range = context.ranges.of(keyKind.value);
    const written = context.compile(keyKind.value).constant;
    const key = keys.find((each) => each === written);
    if (key === undefined) {
      const near = typeof written === 'string' ? nearest(written, keys) : undefined;
      return context.fault(
        'KA1303',
        range,
        `${entrypointFunction.name} has no ${typeof written === 'string' ? JSON.stringify(written) : 'such key'}`,
        near === undefined ? `its keys are ${keys.join(', ')}` : `did you mean "${near}"?`,
      );
    }
    if (options.has(key)) return context.fault('KA1310', range, 'the map has this key twice');
    const compiled = texts(value, context);
    if (compiled.type.kind === 'nothing') return compiled;
    options.set(key, compiled);
  }
  return options;
}

/** Compiles a list of texts. */
function texts(expr: Expr, context: Context): Compiled {
  const compiled = context.compile(expr);
  const { type } = compiled;
  if (type.kind === 'nothing' || (type.kind === 'list' && isText(type.element))) return compiled;
  return context.fault(
    'KA1305',
    context.ranges.of(expr),
    `${entrypointFunction.name} takes lists of texts, and this is ${withArticle(type)}`,
    `it is written ${entrypointFunction.form}`,
  );
}

/** `[]` has elements of no type. */
function isText({ kind }: Type): boolean {
  return kind === 'string' || kind === 'nothing';
}
