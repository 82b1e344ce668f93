import type { CodeRow } from './code-row.js';

/** Codes for endpoint lists and what they serve. */
export type EndpointCode =
  | 'KA1201'
  | 'KA1202'
  | 'KA1203'
  | 'KA1204'
  | 'KA1205'
  | 'KA1206'
  | 'KA1207'
  | 'KA1208'
  | 'KA1209'
  | 'KA1210';

export const endpointCodes: Readonly<Record<EndpointCode, CodeRow>> = {
  KA1201: {
    title: 'unknown endpoint',
    explanation:
      'An entry of a list is neither the name of a method, nor an @group, nor "*" alone. Names of requests, patterns, and methods that Kata removed are not accepted.',
    example: { kind: 'document', document: '[api]\nallowed_endpoints = ["@pod", "ExecProces"]\n' },
    remedy: 'Correct the name: kata-agent-ctl endpoints lists the methods and groups.',
  },
  KA1202: {
    title: 'duplicate entry',
    explanation: 'A list has the same entry twice. The second entry has no effect.',
    example: { kind: 'document', document: '[api]\nallowed_endpoints = ["@pod", "@pod"]\n' },
    remedy: 'Remove one of the two.',
  },
  KA1203: {
    title: 'entry in both lists',
    explanation:
      'The same entry is in allowed_endpoints and in blocked_endpoints. A blocked endpoint is not served.',
    example: {
      kind: 'document',
      document: '[api]\nallowed_endpoints = ["@pod", "ReadStdout"]\nblocked_endpoints = ["ReadStdout"]\n',
    },
    remedy: 'Remove it from one of the two lists.',
  },
  KA1204: {
    title: 'endpoint is not in this build',
    explanation:
      'The agent was built without the handler of the method (npm run bundle -- --config FILE), and no configuration can add it. A named method is an error; a group that includes the method is a warning.',
    example: {
      kind: 'described',
      text: 'a build without ExecProcess reads allowed_endpoints = ["ExecProcess"]',
    },
    remedy:
      'Remove the entry, or use a build that has the method: kata-agent --version lists what was left out.',
  },
  KA1205: {
    title: 'endpoint is later than the release',
    explanation:
      'release limits the API to the methods of that release of Kata Containers. A method of a later release is not served, although the list names it.',
    example: {
      kind: 'document',
      document: '[api]\nrelease = "2.0"\nallowed_endpoints = ["@pod", "GetIPTables"]\n',
    },
    remedy: 'Write a later release, or remove the entry.',
  },
  KA1206: {
    title: 'nothing is served',
    explanation:
      'The document has no list of endpoints, or its lists allow no method. The agent starts, and answers every call but Health with UNIMPLEMENTED.',
    example: { kind: 'document', document: '[api]\nstrict = false\n' },
    remedy: 'Write allowed_endpoints in [api]: ["@pod"] for a pod, ["*"] for everything.',
  },
  KA1207: {
    title: 'inconsistent set of endpoints',
    explanation:
      'A method is served without a method that has to follow it, such as CreateContainer without StartContainer. This is a warning when an agent starts, and an error under strict = true and in kata-agent-ctl config check.',
    example: { kind: 'document', document: '[api]\nallowed_endpoints = ["@pod", "PauseContainer"]\n' },
    remedy: 'Serve both, best through their group, or neither.',
  },
  KA1208: {
    title: 'list without a release under strict',
    explanation:
      'Under strict = true a list has to mean the same in every later version. Groups, "*" and blocked_endpoints grow or shrink with releases of Kata, so they need release.',
    example: { kind: 'document', document: '[api]\nstrict = true\nallowed_endpoints = ["@pod"]\n' },
    remedy: 'Write the release that the list was written for, such as release = "3.21", or name the methods.',
  },
  KA1209: {
    title: 'unknown release',
    explanation:
      'release names a release of Kata Containers that this agent does not know, so the API is not pinned. This is an error under strict = true, otherwise a warning.',
    example: {
      kind: 'document',
      document: '[api]\nrelease = "3.999"\nallowed_endpoints = ["@pod"]\n',
    },
    remedy: 'Write a release that exists, such as release = "3.21".',
  },
  KA1210: {
    title: 'method without a rule',
    explanation:
      'A rule limits one of CreateContainer, ExecProcess and CopyFile, and none limits another one that is served to the host: with it the host chooses what runs, or which files containers have, as after "@exec" is added to a generated configuration. Listeners with TLS, and at unix:// with peers, are left out: the document names their callers.',
    example: {
      kind: 'document',
      document:
        '[api]\nallowed_endpoints = ["CreateContainer", "StartContainer", "RemoveContainer", "WaitProcess", "ExecProcess"]\n[[api.rule]]\nname = "r"\nendpoints = ["CreateContainer"]\nexpression = "args.size() > 0"\n',
    },
    remedy:
      'Write a rule for each of them; kata-agent-ctl config generate --pod POD.yaml writes those of a pod. To allow everything on purpose, write a rule whose expression is true.',
  },
};
