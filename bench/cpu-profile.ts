import { root } from './go-programs.js';

/** The used part of the output of `node --cpu-prof`. Times are in µs. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly children?: readonly number[];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  /** From 0. */
  readonly lineNumber: number;
}

/** A function as it was called from its parents. Times are in µs. */
export interface CallTree {
  /** The function's name and place. */
  readonly name: string;
  /** The time in the function itself. */
  self: number;
  readonly children: Map<string, CallTree>;
}

/** Returns the calls of all profiles in one tree, without the time in which nothing ran. */
export function mergeProfiles(profiles: readonly CpuProfile[]): CallTree {
  const tree: CallTree = { name: '(all)', self: 0, children: new Map() };
  for (const { nodes, samples, timeDeltas } of profiles) {
    const self = new Map<number, number>();
    for (const [index, id] of samples.entries()) self.set(id, (self.get(id) ?? 0) + (timeDeltas[index] ?? 0));
    const byId = new Map(nodes.map((node) => [node.id, node]));
    const add = (into: CallTree, { id, callFrame, children = [] }: ProfileNode): void => {
      if (callFrame.functionName === '(idle)') return;
      // Of a profile's root the children are taken.
      const own = callFrame.functionName === '(root)' ? into : childOf(into, nameOf(callFrame));
      own.self += self.get(id) ?? 0;
      for (const child of children) {
        const node = byId.get(child);
        if (node !== undefined) add(own, node);
      }
    };
    const [first] = nodes;
    if (first !== undefined) add(tree, first);
  }
  return tree;
}

/** Returns the time of a tree, in µs. */
export function totalTime(tree: CallTree): number {
  return [...tree.children.values()].reduce((sum, child) => sum + totalTime(child), tree.self);
}

/** Returns the functions with the most time of their own, wherever they were called. */
export function topFunctions(
  tree: CallTree,
  count: number,
): readonly { readonly name: string; readonly self: number }[] {
  const times = new Map<string, number>();
  const add = ({ name, self, children }: CallTree): void => {
    times.set(name, (times.get(name) ?? 0) + self);
    for (const child of children.values()) add(child);
  };
  add(tree);
  return [...times]
    .map(([name, self]) => ({ name, self }))
    .filter(({ self }) => self > 0)
    .toSorted((a, b) => b.self - a.self)
    .slice(0, count);
}

function childOf(tree: CallTree, name: string): CallTree {
  const existing = tree.children.get(name);
  if (existing !== undefined) return existing;
  const made: CallTree = { name, self: 0, children: new Map() };
  tree.children.set(name, made);
  return made;
}

/** Returns `function path:line`; functions of the engine have no path. */
function nameOf({ functionName, url, lineNumber }: CallFrame): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return name;
  const path = url.startsWith('file://') ? decodeURI(url.slice('file://'.length)).replace(root, '') : url;
  return `${name} ${path.replace(/^.*\/node_modules\//, '')}:${lineNumber + 1}`;
}
