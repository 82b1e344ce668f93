import { endpoints, groups, methodNames } from '@kata-agent/catalogue';
import { recordText } from '../output/endpoint-text.js';
import { code, markdownTable, pageHead } from './markdown.js';

/** docs/reference/endpoints.md */
export function endpointsPage(): string {
  return [
    pageHead('Endpoints', 'packages/catalogue'),
    '\nFor whoever decides what an agent serves: what each method of `grpc.AgentService` does, what a hostile caller ',
    'gains by it, and what stops working without it. The names are those that `allowed_endpoints` and ',
    '`blocked_endpoints` take. ',
    '`grpc.Health` (`Check`, `Version`) is always served and stands in no list. ',
    '`kata-agent-ctl endpoints NAME` prints the same at a terminal.\n\n',
    markdownTable(
      ['method', 'since', 'state', 'groups'],
      methodNames.map((name) => {
        const endpoint = endpoints[name];
        return [
          `[${name}](#${name.toLowerCase()})`,
          endpoint.release,
          endpoint.changes ? 'changes' : 'reads',
          endpoint.groups.map(code).join(' '),
        ];
      }),
    ),
    '\n## Groups\n\nAn entry of a list may be a group; `*` stands for all methods. Under a `release` both stand for ',
    'the methods that it had; what a group stands for under one release never changes.\n\n',
    markdownTable(
      ['group', 'purpose', 'methods, and the release that brought them after 2.0'],
      [...groups.values()].map((group) => [
        code(group.name),
        group.purpose,
        group.methods.map(memberText).join(', '),
      ]),
    ),
    '\nSome sets make no sense, and are found: see [errors](errors.md#sets-that-make-no-sense).\n',
    '\n## Methods\n',
    ...methodNames.map(endpointSection),
  ].join('');
}

function memberText(name: (typeof methodNames)[number]): string {
  const release = endpoints[name].release;
  const link = `[${name}](#${name.toLowerCase()})`;
  return release === '2.0.0' ? link : `${link} (${release.replace(/\.0$/, '')})`;
}

function endpointSection(name: (typeof methodNames)[number]): string {
  const endpoint = endpoints[name];
  return [
    `\n### ${name}\n\n${endpoint.purpose}\n\n`,
    `- What a hostile caller gains: ${endpoint.exposure}\n`,
    `- Without it: ${endpoint.without}\n`,
    `- The Go runtime calls it: ${endpoint.clients.go}\n`,
    `- runtime-rs calls it: ${endpoint.clients.rs}\n`,
    `- Recorded: ${recordText(endpoint)}\n`,
  ].join('');
}
