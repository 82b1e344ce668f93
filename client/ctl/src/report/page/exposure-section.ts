import type { AreaRows, Cell, EndpointRow, Exposure, RuleSummary } from '../model/exposure.js';
import { html, type Html } from './html.js';
import { scrollBox, table } from './table.js';

/** Renders what the host and other callers could do. */
export function exposureSection(exposure: Exposure): Html {
  const { openings, listeners, rules, counts } = exposure;
  return html`<section aria-labelledby="exposure">
<h2 id="exposure">What the host could do</h2>
<p>${counts.served} of ${counts.methods} methods of the agent are served, ${counts.underRules === 0 ? 'none' : counts.underRules} of them only if each of their rules is true. What is served can be called by each peer that may connect to the listener.</p>
<h3>Settings that open the guest</h3>
${
  openings.length === 0
    ? html`<p>None: each setting that opens the guest is as it is by default, and privileged containers are refused.</p>`
    : table(
        'Settings that open the guest, with their values',
        [
          { title: 'setting', kind: 'heading', cell: ({ setting }) => html`<code>${setting}</code>` },
          { title: 'value', cell: ({ value }) => html`<code>${value}</code>` },
          { title: 'what it does', kind: 'long', cell: ({ purpose }) => purpose },
          { title: 'set by', cell: ({ source }) => source },
        ],
        openings,
      )
}
<h3>Listeners</h3>
${table(
  'Addresses at which the agent serves calls',
  [
    { title: 'listener', kind: 'heading', cell: ({ name }) => name },
    { title: 'address', cell: ({ address }) => html`<code>${address}</code>` },
    { title: 'who may connect', kind: 'long', cell: ({ callers }) => callers },
  ],
  listeners,
)}
<h3>Endpoints</h3>
<p class="muted">Each cell says whether a method is served, and what decided it. Methods that are refused answer UNIMPLEMENTED; calls that a rule denies PERMISSION_DENIED.</p>
${matrix(exposure)}
<h3>Rules</h3>
${
  rules.length === 0
    ? html`<p>There are none: the host chooses the content of each call that is served.</p>`
    : rules.map(ruleArticle)
}
${warningsOf(exposure)}
</section>`;
}

function matrix({ columns, areas }: Exposure): Html {
  const label = 'Endpoints by listener and document';
  return scrollBox(
    label,
    html`<table>
<caption>${label}</caption>
<thead><tr><th scope="col">method</th>${columns.map(
      ({ kind, name }) =>
        html`<th scope="col">${kind === 'document' ? 'document ' : 'listener '}${name}</th>`,
    )}<th scope="col">what it gives its caller</th></tr></thead>
${areas.map((area) => areaBody(area, columns.length))}</table>`,
  );
}

function areaBody({ area, rows }: AreaRows, columns: number): Html {
  return html`<tbody>
<tr><th scope="rowgroup" class="area" colspan="${columns + 2}">${area}</th></tr>
${rows.map(endpointRow)}</tbody>
`;
}

function endpointRow({ method, groups, purpose, exposure, cells }: EndpointRow): Html {
  return html`<tr><th scope="row" class="method"><code>${method}</code><span class="why">${groups.join(' ')}</span></th>${cells.map(
    matrixCell,
  )}<td class="long">${exposure}<span class="why">${purpose}</span></td></tr>
`;
}

function matrixCell({ state, reason }: Cell): Html {
  return html`<td><span class="state ${state.replaceAll(' ', '-')}">${state}</span><span class="why">${reason}</span></td>`;
}

function ruleArticle({
  name,
  place,
  enforcement,
  endpoints,
  message,
  comment,
  expression,
}: RuleSummary): Html {
  return html`<article class="rule">
<h4><code>${name}</code></h4>
${comment === '' ? undefined : html`<p class="comment">${comment}</p>`}
${message === undefined ? undefined : html`<p>The caller receives: “${message}”</p>`}
<p>${enforcement === 'audit' ? 'Only recorded, not enforced, for: ' : 'Its expression must be true for: '}${endpoints.map(
    (method, index) => html`${index === 0 ? '' : ', '}<code>${method}</code>`,
  )}</p>
<p class="muted">${place}</p>
<details><summary>expression</summary><pre>${expression.trim()}</pre></details>
</article>
`;
}

function warningsOf({ warnings }: Exposure): Html | undefined {
  if (warnings.length === 0) return undefined;
  return html`<h3>Warnings</h3>
${table(
  'Warnings of config check',
  [
    { title: 'code', kind: 'heading', cell: ({ code }) => html`<code>${code}</code>` },
    {
      title: 'warning',
      kind: 'long',
      cell: ({ message, help }) =>
        html`${message}${help === undefined ? undefined : html`<span class="why">help: ${help}</span>`}`,
    },
    { title: 'place', cell: ({ place }) => place },
  ],
  warnings,
)}`;
}
