import type { CheckAnswer, WorkloadResult } from '../messages.js';

/** The result in one line, which screen readers speak. */
export function summaryOf({ findings, podError, workloads }: CheckAnswer): {
  readonly text: string;
  readonly isGood: boolean;
} {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  if (errors > 0) return { text: `The configuration has ${counted(errors, 'error')}.`, isGood: false };
  if (podError !== undefined) return { text: 'The pod cannot be read.', isGood: false };
  const failing = workloads.filter(({ sufficient }) => !sufficient);
  const [first] = failing;
  if (first === undefined)
    return {
      text:
        workloads.length === 0
          ? 'The configuration is valid. There is no pod.'
          : `Sufficient: ${names(workloads)}.`,
      isGood: true,
    };
  return { text: `Not sufficient: ${names(failing)}.`, isGood: false };
}

export function resultsOf({ findings, podError, workloads, facts }: CheckAnswer): readonly Node[] {
  return [
    ...list(
      'Configuration',
      findings.map(({ severity, message }) => item(severity, severity, message)),
    ),
    ...list('Pod', podError === undefined ? [] : [item('error', 'error', podError)]),
    ...workloads.flatMap(workloadNodes),
    ...(facts === undefined
      ? []
      : list(`Facts: a generated configuration constrains ${facts.constrained} of ${facts.facts}`, [
          ...facts.open.map((open) => item('warning', 'open', open)),
          ...(facts.open.length === 0 ? [item('served', 'none open', '')] : []),
        ])),
  ];
}

function workloadNodes({ name, calls, unbuilt, changes, unchecked }: WorkloadResult): readonly Node[] {
  return [
    ...list(
      `Calls of ${name}`,
      calls.map(({ method, refusals }) => {
        const state = refusals.length === 0 ? 'served' : 'refused';
        const row = item(state, state, '');
        row.append(element('code', method), ...refusals.map((reason) => element('p', reason)));
        return row;
      }),
    ),
    ...list(
      'Refused by name',
      unbuilt.map((text) => item('refused', 'refused', text)),
    ),
    ...list(
      'Smallest change that fixes it',
      changes.map((text) => element('li', text)),
    ),
    ...list(
      'Not checked',
      unchecked.map((text) => element('li', text)),
    ),
  ];
}

function list(title: string, items: readonly HTMLElement[]): readonly Node[] {
  if (items.length === 0) return [];
  const all = document.createElement('ul');
  all.append(...items);
  return [element('h3', title), all];
}

function item(state: string, label: string, text: string): HTMLElement {
  const row = document.createElement('li');
  const mark = element('span', label);
  mark.className = `state ${state}`;
  row.append(mark, text);
  return row;
}

/** Returns an element with a text, which is never HTML. */
export function element(name: string, text: string): HTMLElement {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function names(workloads: readonly WorkloadResult[]): string {
  return workloads.map(({ name }) => name).join(', ');
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
