import { pageTheme } from '../../output/page-theme.js';

/** The style sheet: light, dark and print; wide tables scroll in boxes of their own. Contrast of each text is at least 4.5. */
export const style: string = `
${pageTheme}header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; }
footer { padding-bottom: 3rem; color: var(--muted); }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 0.25rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 0.5rem; }
h4 { font-size: 1rem; margin: 0 0 0.25rem; }
p { margin: 0.5rem 0; }
a { color: var(--accent); }
code, pre { font: 0.875em/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { margin: 0.5rem 0; padding: 0.75rem; background: var(--panel); border-radius: 4px; white-space: pre-wrap; }
summary { cursor: pointer; color: var(--accent); }
.muted { color: var(--muted); }
.meta { color: var(--muted); margin: 0 0 0.75rem; }
.findings { list-style: none; margin: 1rem 0; padding: 0; }
.findings li { margin: 0.375rem 0; padding: 0.5rem 0.75rem; border-left: 4px solid var(--line); background: var(--panel); border-radius: 0 4px 4px 0; }
.findings .bad { border-color: var(--bad); background: var(--bad-back); color: var(--bad); font-weight: 600; }
.findings .warning { border-color: var(--rules); background: var(--rules-back); color: var(--rules); }
.findings .good { border-color: var(--good); background: var(--good-back); color: var(--good); }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; margin: 0; padding: 0; list-style: none; }
.scroll { position: relative; overflow-x: auto; margin: 0.75rem 0; border: 1px solid var(--line); border-radius: 4px; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; line-height: 1.4; }
caption { text-align: left; padding: 0.5rem 0.625rem; color: var(--muted); }
caption.heading { position: absolute; width: 1px; height: 1px; padding: 0; overflow: hidden; clip-path: inset(50%); }
th, td, code { unicode-bidi: isolate; }
th, td { padding: 0.375rem 0.625rem; border-top: 1px solid var(--line); text-align: left; vertical-align: top; min-width: 6.5rem; }
thead th { border-top: 0; background: var(--panel); white-space: nowrap; overflow-wrap: normal; }
tbody th { font-weight: 600; min-width: 9.5rem; }
th.method code { white-space: nowrap; }
.why { font-weight: 400; }
th.area { background: var(--panel); color: var(--muted); font-weight: 600; }
td.number { text-align: right; min-width: 3.5rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.number { text-align: right; min-width: 3.5rem; }
td.long { min-width: 15rem; }
td.time { white-space: nowrap; font-variant-numeric: tabular-nums; }
.state { display: inline-block; padding: 0 0.4rem; border-radius: 3px; font-weight: 600; white-space: nowrap; background: var(--panel); color: var(--muted); }
.served { background: var(--served-back); color: var(--served); }
.under-rules { background: var(--rules-back); color: var(--rules); }
.refused { background: var(--refused-back); color: var(--refused); }
.proved { background: var(--good-back); color: var(--good); }
.failed { background: var(--bad-back); color: var(--bad); }
.not-proved { background: var(--rules-back); color: var(--rules); }
.why { display: block; color: var(--muted); font-size: 0.8125rem; }
.rule { margin: 0.75rem 0; padding: 0.75rem; border: 1px solid var(--line); border-radius: 4px; }
.rule p { margin: 0.25rem 0; }
.comment { white-space: pre-line; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.125rem 1rem; margin: 0.5rem 0; }
dt { color: var(--muted); }
dd { margin: 0; }
.word { padding: 0 0.2rem; border: 1px solid var(--line); border-radius: 3px; }
svg { display: block; min-width: 54rem; width: 100%; height: auto; background: var(--page); }
figure { margin: 0; }
.legend { white-space: nowrap; margin-right: 0.75rem; }
svg.key { display: inline-block; min-width: 0; width: 1em; vertical-align: -0.15em; margin-right: 0.25em; }
svg text { font: 12px system-ui, sans-serif; fill: var(--muted); }
svg .bar { fill: var(--bar); }
svg .denied { fill: var(--bad); }
svg .axis { stroke: var(--line); stroke-width: 1; fill: none; }
svg .mark { stroke: var(--text); stroke-width: 1.5; fill: var(--page); }
svg .gap { stroke: var(--bad); fill: var(--bad); }
svg .checkpoint { stroke: var(--good); fill: var(--good); }
@media (max-width: 40rem) {
  html { font-size: 15px; }
  dl { grid-template-columns: 1fr; }
  dd { margin-bottom: 0.375rem; }
  th.method code { white-space: normal; }
}
@media print {
  :root {
    color-scheme: light;
    --page: #ffffff; --panel: #f5f6f8; --line: #b9bec7; --text: #000000; --muted: #444b55;
    --served: #8a3b00; --served-back: #fdeee0; --rules: #7a5200; --rules-back: #fdf5d8;
    --refused: #14603a; --refused-back: #e5f5ec; --bad: #a3161d; --bad-back: #fdeaea;
    --good: #14603a; --good-back: #e5f5ec; --accent: #000000; --bar: #5b83c4;
  }
  html { font-size: 11px; }
  nav { display: none; }
  .scroll { overflow: visible; border: 0; }
  thead { display: table-header-group; }
  tr, .rule, svg { break-inside: avoid; }
  th, td, tbody th { min-width: 0; }
  details::details-content { content-visibility: visible; }
  td.time, td.number, .state { white-space: normal; }
  td.long { min-width: 0; }
  svg { min-width: 0; }
  h2, h3 { break-after: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
