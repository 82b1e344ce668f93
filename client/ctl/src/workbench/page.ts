import { pageTheme } from '../output/page-theme.js';

const style = `${pageTheme}
body { display: flex; flex-direction: column; min-height: 100vh; }
header { padding: 0.75rem 1rem; border-bottom: 1px solid var(--line); }
h1 { display: inline; font-size: 1.2rem; margin: 0 1rem 0 0; }
h2 { font-size: 1rem; margin: 0; }
h3 { font-size: 0.95rem; margin: 1rem 0 0.25rem; }
header p { display: inline; color: var(--muted); margin: 0; }
main { flex: 1; display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 4fr) minmax(0, 4fr); }
section { display: flex; flex-direction: column; min-width: 0; padding: 0.75rem; border-right: 1px solid var(--line); }
section:last-child { border-right: 0; }
.head { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 1rem; min-height: 2.5rem; margin-bottom: 0.5rem; }
.text { min-width: 0; border: 1px solid var(--line); border-radius: 4px; overflow: hidden; }
.text:focus-within { outline: 2px solid var(--accent); }
.text .cm-editor { height: calc(100vh - 9rem); }
button { font: inherit; padding: 0.25rem 0.75rem; color: var(--accent); background: var(--page); border: 1px solid var(--accent); border-radius: 4px; cursor: pointer; }
button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
#summary { margin: 0 0 0.5rem; padding: 0.5rem 0.75rem; border-left: 4px solid var(--line); background: var(--panel); font-weight: 600; }
#summary.good { border-color: var(--good); background: var(--good-back); color: var(--good); }
#summary.bad { border-color: var(--bad); background: var(--bad-back); color: var(--bad); }
ul { list-style: none; margin: 0; padding: 0; font-size: 0.875rem; }
li { padding: 0.3rem 0; white-space: pre-line; border-top: 1px solid var(--line); }
li:first-child { border-top: 0; }
li p { margin: 0.15rem 0 0.15rem; color: var(--muted); }
code { font: 0.9375em/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
.state { display: inline-block; padding: 0 0.4rem; margin-right: 0.5rem; border-radius: 3px; font-weight: 600; }
.state.served { background: var(--good-back); color: var(--good); }
.state.refused, .state.error { background: var(--bad-back); color: var(--bad); }
.state.warning { background: var(--rules-back); color: var(--rules); }
@media (max-width: 60rem) {
  main { grid-template-columns: minmax(0, 1fr); }
  section { border-right: 0; border-bottom: 1px solid var(--line); }
  header p { display: block; }
  .text .cm-editor { height: 20rem; }
}
`;

/** Returns the page. Its texts come with the script, which a policy with this nonce admits. */
export function workbenchPage(nonce: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Workbench: kata-agent-ctl</title>
<link rel="icon" href="data:,">
<style nonce="${nonce}">${style}</style>
</head>
<body>
<header><h1>Workbench</h1><p>What an agent with this configuration does with the calls of this pod. Nothing is written to a file.</p></header>
<main>
<section aria-labelledby="configuration-name">
<div class="head"><h2 id="configuration-name">Configuration</h2></div>
<div class="text" id="configuration"></div>
</section>
<section aria-labelledby="result-name">
<div class="head"><h2 id="result-name">Result</h2><button type="button" id="generate">Generate from the pod</button></div>
<p id="summary" role="status" aria-live="polite">Loading</p>
<div id="results"></div>
</section>
<section aria-labelledby="pod-name">
<div class="head"><h2 id="pod-name">Pod</h2></div>
<div class="text" id="pod"></div>
</section>
</main>
<script nonce="${nonce}" src="/page.js"></script>
</body>
</html>
`;
}
