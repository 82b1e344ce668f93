import {
  areas,
  endpoints,
  groups,
  managementEndpoints,
  managementMethods,
  type MethodName,
} from '@kata-agent/catalogue';
import { recordText } from '../output/endpoint-text.js';
import { code, markdownTable, pageHead } from './markdown.js';

/** docs/reference/endpoints.md */
export function endpointsPage(): string {
  return [
    pageHead('Endpoints', 'lib/catalogue'),
    '\nFor each method of `grpc.AgentService`: what it does, what a hostile peer ',
    'gains by it, and what breaks without it. `allowed_endpoints` and ',
    '`blocked_endpoints` take. ',
    '`grpc.Health` (`Check`, `Version`) is always served and cannot be listed. ',
    '`kata-agent-ctl endpoints NAME` prints the same text.\n\n',
    markdownTable(
      ['area', 'method', 'since', 'state', 'groups'],
      Object.entries(areas).flatMap(([area, methods]) =>
        methods.map((name) => {
          const endpoint = endpoints[name];
          return [
            `[${area}](#${area})`,
            `[${name}](#${name.toLowerCase()})`,
            endpoint.release,
            endpoint.changes ? 'changes' : 'reads',
            endpoint.groups.map(code).join(' '),
          ];
        }),
      ),
    ),
    '\n## Groups\n\nAn entry of a list can be a group; `*` is all methods. With a `release`, both include only the ',
    'methods of that release; the members of a group in one release never change.\n\n',
    markdownTable(
      ['group', 'purpose', 'methods, with the release if later than 2.0'],
      [...groups.values()].map((group) => [
        code(group.name),
        group.purpose,
        group.methods.map(memberText).join(', '),
      ]),
    ),
    '\n## Management\n\nThe methods of `kata_agent.Management` are our own. No group and no `*` includes them: a listener serves those ',
    'that its [`management`](settings.md#management-of-listener) names. Rules do not concern them.\n\n',
    markdownTable(
      ['method', 'purpose', 'exposure to a hostile peer'],
      managementMethods.map((name) => {
        const { purpose, exposure } = managementEndpoints[name];
        return [code(name), purpose, exposure];
      }),
    ),
    '\nInconsistent lists are reported: see [errors](errors.md#inconsistent-settings).\n',
    ...Object.entries(areas).flatMap(([area, methods]) => [
      `\n## ${title(area)}\n`,
      ...methods.map(endpointSection),
    ]),
  ].join('');
}

function title(area: string): string {
  return area.charAt(0).toUpperCase() + area.slice(1);
}

function memberText(name: MethodName): string {
  const release = endpoints[name].release;
  const link = `[${name}](#${name.toLowerCase()})`;
  return release === '2.0.0' ? link : `${link} (${release.replace(/\.0$/, '')})`;
}

function endpointSection(name: MethodName): string {
  const endpoint = endpoints[name];
  return [
    `\n### ${name}\n\n${endpoint.purpose}\n\n`,
    `- Exposure to a hostile peer: ${endpoint.exposure}\n`,
    `- Without it: ${endpoint.without}\n`,
    `- The Go runtime calls it: ${endpoint.clients.go}\n`,
    `- runtime-rs calls it: ${endpoint.clients.rs}\n`,
    `- Recorded: ${recordText(endpoint)}\n`,
  ].join('');
}
