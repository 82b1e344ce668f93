import { type CodeExample, type CodeRow, codes, type Code } from '@kata-agent/catalogue/codes';
import type { StatusRow } from './statuses.js';
import { renderTable, type Style, wrap } from '@kata-agent/cli';

/** One part of an example: what it is, and its text. */
interface ExamplePart {
  readonly name: string;
  readonly text: string;
}

/** The parts of an example, in the order in which an agent reads them. */
export function exampleParts(example: CodeExample): readonly ExamplePart[] {
  switch (example.kind) {
    case 'document': {
      const { document, further, kernelCommandLine } = example;
      return [
        { name: 'config.toml', text: document },
        ...(further === undefined ? [] : [{ name: 'a further document', text: further }]),
        ...(kernelCommandLine === undefined
          ? []
          : [{ name: 'the kernel command line', text: `${kernelCommandLine}\n` }]),
      ];
    }
    case 'call': {
      const { document, method, request } = example;
      const body = Object.keys(request).length === 0 ? '' : ` '${JSON.stringify(request)}'`;
      return [
        { name: 'config.toml', text: document },
        { name: 'the call', text: `kata-agent-ctl call ${method}${body}\n` },
      ];
    }
    case 'policy':
      return [{ name: 'the policy of SetPolicy', text: example.text }];
    case 'kata':
      return [{ name: "a file of Kata's agent", text: example.text }];
    case 'suite':
      return [{ name: 'a.test.yaml', text: example.text }];
    case 'described':
      return [{ name: 'a situation', text: `${example.text}\n` }];
  }
}

/** Returns one line for each code. */
export function codesTable(style: Style): string {
  const rows = Object.entries(codes).map(([code, { title }]) => [code, title]);
  return renderTable([['CODE', 'MEANING'], ...rows], (cell, row) => (row === 0 ? style.bold(cell) : cell));
}

/** Returns the page of one code. */
export function codePage(code: Code, width: number, style: Style): string {
  const { title, explanation, example, remedy }: CodeRow = codes[code];
  const parts = exampleParts(example).map(
    ({ name, text }) => `\n${style.bold(`Example: ${name}`)}\n${text.replace(/^(?=.)/gm, '  ')}`,
  );
  return [
    `${style.bold(`${code}: ${title}`)}\n${wrap(explanation, width, '  ')}`,
    ...parts,
    `\n${style.bold('How to fix it')}\n${wrap(remedy, width, '  ')}`,
  ].join('');
}

/** Returns the page of one ttRPC status, which is what names a failure of a call that was allowed. */
export function statusPage({ status, when, clients }: StatusRow, width: number, style: Style): string {
  const section = (title: string, text: string): string =>
    `${style.bold(title)}\n${wrap(text.replaceAll('`', ''), width, '  ')}`;
  return `${section(status, when)}\n${section('What Kata’s runtimes do', clients)}`;
}
