import {
  autocompletion,
  closeBrackets,
  type CompletionContext,
  type CompletionResult,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { toml } from '@codemirror/legacy-modes/mode/toml';
import { lintGutter, setDiagnostics } from '@codemirror/lint';
import { EditorState, type Extension } from '@codemirror/state';
import { EditorView, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { Answers, Question, QuestionKind } from '../messages.js';
import { tokenHeader } from '../messages.js';
import { element, resultsOf, summaryOf } from './results.js';

/** A check begins when nothing was typed for so long. */
const quietMs = 250;

const nonce = document.querySelector('script')?.nonce ?? '';
const token = location.hash.slice(1);

const theme = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'var(--page)', fontSize: '0.875rem' },
  // Its box has one, which the gutter does not cover.
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'ui-monospace, "DejaVu Sans Mono", monospace', lineHeight: '1.45' },
  '.cm-content': { caretColor: 'var(--text)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': {
    color: 'var(--muted)',
    backgroundColor: 'var(--panel)',
    borderRight: '1px solid var(--line)',
  },
  '.cm-tooltip': { color: 'var(--text)', backgroundColor: 'var(--panel)', border: '1px solid var(--line)' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { color: 'var(--page)', backgroundColor: 'var(--accent)' },
  '.cm-completionDetail': { color: 'inherit' },
});

const colors = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--accent)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--good)' },
  { tag: [tags.number, tags.bool, tags.atom, tags.keyword], color: 'var(--rules)' },
  { tag: tags.comment, color: 'var(--muted)' },
]);

function editor(id: string, label: string, extensions: readonly Extension[]): EditorView {
  return new EditorView({
    parent: byId(id),
    state: EditorState.create({
      extensions: [
        EditorView.cspNonce.of(nonce),
        theme,
        syntaxHighlighting(colors),
        lineNumbers(),
        history(),
        closeBrackets(),
        keymap.of([...defaultKeymap, ...historyKeymap]),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': label }),
        EditorView.updateListener.of(({ docChanged }) => {
          if (docChanged) later();
        }),
        ...extensions,
      ],
    }),
  });
}

const configuration = editor('configuration', 'Configuration', [
  StreamLanguage.define(toml),
  lintGutter(),
  autocompletion({ override: [completions] }),
]);
const pod = editor('pod', 'Pod', [yaml()]);
const summary = byId('summary');
const results = byId('results');

let timer: ReturnType<typeof setTimeout> | undefined;
/** Counts checks: the answer of an older one is not shown. */
let latest = 0;

function later(): void {
  clearTimeout(timer);
  latest += 1;
  timer = setTimeout(() => void check(), quietMs);
}

async function check(): Promise<void> {
  const mine = (latest += 1);
  try {
    const answer = await ask('check');
    if (mine !== latest || answer === undefined) return;
    configuration.dispatch(setDiagnostics(configuration.state, [...answer.findings]));
    const { text, isGood } = summaryOf(answer);
    show(text, isGood ? 'good' : 'bad');
    results.replaceChildren(...resultsOf(answer));
  } catch (error) {
    if (mine === latest) fail(error);
  }
}

async function generate(): Promise<void> {
  try {
    const answer = await ask('generate');
    if (answer === undefined) return;
    replaceText(configuration, answer.configuration);
    show('Generated.', 'good');
  } catch (error) {
    fail(error);
  }
}

async function completions(context: CompletionContext): Promise<CompletionResult | null> {
  if (!context.explicit && context.matchBefore(/[\w.@"']+/) === null) return null;
  const found = (await ask('complete', context.pos).catch(() => undefined)) ?? [];
  const [first] = found;
  if (first === undefined || context.aborted) return null;
  return {
    from: first.from,
    to: Math.max(first.to, context.pos),
    options: found.map(({ label, insert, detail, doc }) => ({
      label,
      apply: insert,
      ...(detail === undefined ? {} : { detail }),
      ...(doc === undefined ? {} : { info: () => element('div', doc) }),
    })),
  };
}

/** Returns undefined if a later question took the place of this one. Rejects with the reason for people. */
async function ask<Kind extends QuestionKind>(
  kind: Kind,
  offset?: number,
): Promise<Answers[Kind] | undefined> {
  const question: Question = {
    configuration: configuration.state.doc.toString(),
    pod: pod.state.doc.toString(),
    ...(offset === undefined ? {} : { offset }),
  };
  const response = await request(kind, { method: 'POST', body: JSON.stringify(question) });
  return response.status === 409 ? undefined : response.json();
}

async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(`/${path}`, { ...init, headers: { [tokenHeader]: token } }).catch(() => {
    throw new Error('kata-agent-ctl does not answer: it has ended');
  });
  if (response.ok || response.status === 409) return response;
  const { message }: { readonly message: string } = await response.json();
  throw new Error(message);
}

function fail(error: unknown): void {
  show(error instanceof Error ? error.message : String(error), 'bad');
  results.replaceChildren();
}

function show(text: string, state: 'good' | 'bad'): void {
  summary.textContent = text;
  summary.className = state;
}

function replaceText(view: EditorView, text: string): void {
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
}

function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

async function start(): Promise<void> {
  const texts: Question = await (await request('texts')).json();
  replaceText(configuration, texts.configuration);
  replaceText(pod, texts.pod);
  await check();
}

byId('generate').addEventListener('click', () => void generate());
start().catch(fail);
