import type { ReportModel } from '../model/report-model.js';
import { activitySection } from './activity-section.js';
import { exposureSection } from './exposure-section.js';
import { html, inlineStyle } from './html.js';
import { proofSection } from './proof-section.js';
import { style } from './style.js';
import { timeText } from './table.js';

/**
 * Renders a report as one HTML document. It loads nothing, runs nothing and sends nothing: its Content Security Policy allows its own
 * style sheet alone.
 */
export function renderReport(model: ReportModel): string {
  const { element, source } = inlineStyle(style);
  const policy = `default-src 'none'; style-src ${source}; base-uri 'none'; form-action 'none'`;
  const page = html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Report: ${model.file}</title>
${element}
</head>
<body>
<header>
<h1>Report about ${model.file}</h1>
<p class="meta">Made at ${timeText(model.made)} UTC by kata-agent-ctl ${model.version}</p>
<ul class="findings">
${model.findings.map(({ kind, text }) => html`<li class="${kind}">${text}</li>\n`)}</ul>
<nav aria-label="Parts of this report"><ul><li><a href="#exposure">What the host could do</a></li><li><a href="#activity">What was done</a></li><li><a href="#proof">What is proved</a></li></ul></nav>
</header>
<main>
${exposureSection(model.exposure)}
${activitySection(model.log)}
${proofSection(model)}
</main>
<footer><p>This file is complete: it loads nothing from a network.</p></footer>
</body>
</html>
`;
  return page.toString();
}
