import type { ProofLink } from '../model/proof.js';
import type { ReportModel } from '../model/report-model.js';
import { html, type Html } from './html.js';
import { table } from './table.js';

/** Renders what is proved, link by link. */
export function proofSection({ exposure, proofs, evidence, log }: ReportModel): Html {
  return html`<section aria-labelledby="proof">
<h2 id="proof">What is proved</h2>
<p>“Proved” means: by the files that were given to this report, and checked when it was made. The report itself is not signed: a recipient can make it again from the same files.</p>
<h3>Configuration</h3>
<dl><dt>digest</dt><dd><code>sha256:${exposure.digest}</code></dd></dl>
${
  exposure.documents.length === 0
    ? html`<p>There is no document: the agent serves everything.</p>`
    : table(
        'Documents, in the order in which each narrows those before it',
        [
          {
            title: 'document',
            kind: 'heading',
            cell: ({ file, comment }) =>
              html`${file}${
                comment === ''
                  ? undefined
                  : html`<details><summary>what its author writes</summary><p class="comment">${comment}</p></details>`
              }`,
          },
          { title: 'SHA-256', kind: 'long', cell: ({ sha256 }) => html`<code>${sha256}</code>` },
        ],
        exposure.documents,
      )
}
${links('Links from the configuration to a guest', proofs.configuration)}
<h3>Audit log${log === undefined ? undefined : html` ${log.file}`}</h3>
${links('Links of the audit log', proofs.log)}
<h3>Evidence${evidence === undefined ? undefined : html` ${evidence.file}`}</h3>
${links('Links of the evidence', proofs.evidence)}
<h3>What this report cannot show</h3>
<ul>
<li>That the program in the guest is this agent: only evidence measures it.</li>
<li>What containers did by themselves: the log has calls to the agent, not system calls of processes.</li>
<li>Values of environment variables, standard input and contents of files: they are never recorded.</li>
<li>That an image is what its name says, where the guest did not verify its digest: the host claims the name.</li>
<li>That times are right: the clock is the guest’s, and the host can set it.</li>
</ul>
</section>`;
}

function links(caption: string, rows: readonly ProofLink[]): Html {
  return table(
    caption,
    [
      { title: 'link', kind: 'heading', cell: ({ claim }) => claim },
      {
        title: 'state',
        cell: ({ state }) => html`<span class="state ${state.replaceAll(' ', '-')}">${state}</span>`,
      },
      { title: 'what was found', kind: 'long', cell: ({ what }) => what },
    ],
    rows,
  );
}
