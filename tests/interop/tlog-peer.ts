import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { treeHashOfBase64, treeHashToBase64, type TreeHash, type TreeHead } from '@kata-agent/tlog';

/** A question to tests/interop/go/src/tlog-peer. */
export type Question =
  | { readonly kind: 'open'; readonly text: string; readonly keys: readonly string[] }
  | { readonly kind: 'proof'; readonly text: string; readonly keys: readonly string[]; readonly leaf: string }
  | {
      readonly kind: 'audit';
      readonly text: string;
      readonly keys: readonly string[];
      readonly files: readonly string[];
    }
  | { readonly kind: 'sign'; readonly size: number; readonly root: string }
  | {
      readonly kind: 'record';
      readonly proof: readonly string[];
      readonly size: number;
      readonly root: string;
      readonly index: number;
      readonly leaf: string;
    }
  | {
      readonly kind: 'tree';
      readonly proof: readonly string[];
      readonly size: number;
      readonly root: string;
      readonly oldSize: number;
      readonly oldRoot: string;
    }
  | {
      readonly kind: 'log';
      readonly size: number;
      readonly indices: readonly number[];
      readonly oldSizes: readonly number[];
    };

/** Go's answer: hashes and texts are base64. No error means that Go accepts. */
export interface Answer {
  readonly error?: string;
  readonly text?: string;
  readonly signed?: readonly string[];
  readonly key?: string;
  readonly roots?: readonly string[];
  readonly records?: readonly (readonly string[] | null)[];
  readonly trees?: readonly (readonly string[] | null)[];
}

export function openQuestion(note: string, keys: readonly string[]): Question {
  return { kind: 'open', text: Buffer.from(note).toString('base64'), keys };
}

export function proofQuestion(proof: string, keys: readonly string[], leaf: string): Question {
  return { kind: 'proof', text: Buffer.from(proof).toString('base64'), keys, leaf: base64(leaf) };
}

export function recordQuestion(
  proof: readonly TreeHash[],
  { size, root }: TreeHead,
  index: number,
  leaf: string,
): Question {
  return {
    kind: 'record',
    proof: proof.map(treeHashToBase64),
    size,
    root: treeHashToBase64(root),
    index,
    leaf: base64(leaf),
  };
}

export function treeQuestion(proof: readonly TreeHash[], { size, root }: TreeHead, old: TreeHead): Question {
  const roots = { root: treeHashToBase64(root), oldRoot: treeHashToBase64(old.root) };
  return { kind: 'tree', proof: proof.map(treeHashToBase64), size, oldSize: old.size, ...roots };
}

function base64(leaf: string): string {
  return Buffer.from(leaf).toString('base64');
}

/** Returns Go's hashes as ours. Go writes an empty list as null. */
export function hashesOf(list: readonly string[] | null | undefined): readonly TreeHash[] {
  return (list ?? []).map((hash) => treeHashOfBase64(hash) ?? ('not a hash' as TreeHash));
}

/** Asks Go all questions at once. */
export async function askGo(program: string, questions: readonly Question[]): Promise<readonly Answer[]> {
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  child.stdin.end(JSON.stringify(questions));
  const answers = JSON.parse(await text(child.stdout)) as readonly Answer[];
  await closed;
  if (answers.length !== questions.length)
    throw new Error(`${answers.length} answers, ${questions.length} questions`);
  return answers;
}
