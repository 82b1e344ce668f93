import type { CodeExample, CodeRow } from './code-row.js';

/** Why a call is denied. A failure of a call that was allowed has the name of its ttRPC status instead. */
export type RefusalCode =
  | 'KA3001'
  | 'KA3002'
  | 'KA3003'
  | 'KA3004'
  | 'KA3005'
  | 'KA3006'
  | 'KA3007'
  | 'KA3008'
  | 'KA3009'
  | 'KA3101'
  | 'KA3102'
  | 'KA3103'
  | 'KA3104'
  | 'KA3201'
  | 'KA3202'
  | 'KA3203'
  | 'KA3204'
  | 'KA3301'
  | 'KA3302'
  | 'KA3303';

const pod = '[api]\nallowed_endpoints = ["@pod"]\n';
const exec = '[api]\nallowed_endpoints = ["@pod", "@exec"]\n';

export const refusalCodes: Readonly<Record<RefusalCode, CodeRow>> = {
  KA3001: {
    title: 'method is not in allowed_endpoints',
    explanation:
      'A list of allowed endpoints of [api], of the listener or of a further document does not include the method. The call is answered with UNIMPLEMENTED before it is decoded.',
    example: call(pod, 'ExecProcess'),
    remedy:
      'Add the method, or one of its groups, to the list that the reason names. kata-agent-ctl endpoints METHOD lists both.',
  },
  KA3002: {
    title: 'method is in blocked_endpoints',
    explanation:
      'A list of blocked endpoints includes the method. A blocked endpoint overrides every allowed list. The call is answered with UNIMPLEMENTED.',
    example: call(`${exec}blocked_endpoints = ["ExecProcess"]\n`, 'ExecProcess'),
    remedy: 'Remove the entry that the reason names.',
  },
  KA3003: {
    title: 'method is later than the release',
    explanation:
      'A document limits the API to a release of Kata Containers that did not have the method. The call is answered with UNIMPLEMENTED, as an agent of that release would.',
    example: call('[api]\nrelease = "2.0"\nallowed_endpoints = ["@pod", "GetIPTables"]\n', 'GetIPTables'),
    remedy: 'Write a later release in the document that the reason names.',
  },
  KA3004: {
    title: 'method is not in this build',
    explanation:
      'The agent was built without the handler of the method. No configuration can add it. The call is answered with UNIMPLEMENTED.',
    example: { kind: 'described', text: 'ExecProcess, and an agent that was built without it' },
    remedy: 'Use a build that has the method: kata-agent --version lists what was left out.',
  },
  KA3005: {
    title: 'configuration has no list of endpoints',
    explanation:
      'The base document has no list of endpoints. Only Health is served. The call is answered with UNIMPLEMENTED.',
    example: call('[agent]\nlog_level = "info"\n', 'ExecProcess'),
    remedy: 'Write allowed_endpoints in [api].',
  },
  KA3006: {
    title: 'unknown method or listener',
    explanation:
      'The call names a service or method that the API does not have, or uses a listener that the configuration does not have. The answer and the audit record omit the name, since a peer can send any text.',
    example: { kind: 'described', text: 'a call of grpc.AgentService/Frobnicate' },
    remedy: 'Correct the name: kata-agent-ctl endpoints lists the methods.',
  },
  KA3007: {
    title: 'method is not in management of the listener',
    explanation:
      'A method of the management service is served only on listeners whose management names it; lists of endpoints do not concern it. The call is answered with UNIMPLEMENTED.',
    example: { kind: 'described', text: 'Describe on a listener without management' },
    remedy: 'Add the method to management of the listener in the base document, or call another listener.',
  },
  KA3008: {
    title: 'method is for operators, not for the server that the agent dials',
    explanation:
      'With relay = "operator-tls" the server of an https:// listener may call Health, the methods of management of the listener, and ask for connections of operators. Methods of the API are called by operators alone, by TLS inside those connections. The call is answered with UNIMPLEMENTED.',
    example: { kind: 'described', text: 'ExecProcess of a realm with relay = "operator-tls"' },
    remedy:
      'Call as an operator, with a certificate that peers names. To believe the server with each call, write relay = "trusted" in the base document.',
  },
  KA3009: {
    title: 'method is not in the verbs of the operator',
    explanation:
      'An operator calls through the server of an https:// listener with relay = "operator-tls". The guest itself decides what the operator may do, by the verbs that operators of the listener gives to its certificate, whatever the server allows; without operators it may call no method of the management service. The call is answered with UNIMPLEMENTED.',
    example: {
      kind: 'described',
      text: 'WatchAudit of an operator whose certificate has the verb connect alone',
    },
    remedy:
      'Give the certificate the verb that the reason names, in operators of the listener in the base document, or call with another certificate.',
  },
  KA3101: {
    title: 'denied by a rule',
    explanation:
      'The method is served, but a rule is false for this request. The call is answered with PERMISSION_DENIED; the reason names the rule and its place.',
    example: call(
      `${exec}[[api.rule]]\nname = "no-terminal"\nendpoints = ["ExecProcess"]\nexpression = "!terminal"\n`,
      'ExecProcess',
      { process: { Terminal: true } },
    ),
    remedy:
      'Change the request, or the rule that the reason names. kata-agent-ctl config test tries a rule with requests.',
  },
  KA3102: {
    title: 'rule could not be evaluated',
    explanation:
      'The evaluation of a rule failed for this request, for instance by an index beyond the end of a list, or exceeded the limit of steps. A rule that cannot be evaluated denies the call.',
    example: call(
      `${exec}[[api.rule]]\nname = "first"\nendpoints = ["ExecProcess"]\nexpression = 'args[0] == "/bin/date"'\n`,
      'ExecProcess',
      { process: { Args: [] } },
    ),
    remedy: 'Check the size first: args.size() > 0 && args[0] == "/bin/date".',
  },
  KA3103: {
    title: 'privileged container',
    explanation:
      'The request makes a container privileged, and privileged_containers is "refuse", the default with a configuration. The reason names the privilege. The call is answered with PERMISSION_DENIED.',
    example: call(exec, 'ExecProcess', {
      process: { Capabilities: { Effective: ['CAP_SYS_ADMIN'] } },
    }),
    remedy:
      'Remove the privilege from the pod, or allow it: the keys that the message names allow one thing, such as capabilities = ["CAP_NET_ADMIN"]; privileged_containers = "allow" allows every privilege.',
  },
  KA3104: {
    title: 'witnesses are unreachable',
    explanation:
      'With required_within, a record of the audit log is older than that and the quorum of witnesses has cosigned no checkpoint with it. Until one is, calls that change something are refused on the first listener and on all at vsock:// and unix://, with UNAVAILABLE. SignalProcess, RemoveContainer and DestroySandbox are served.',
    example: {
      kind: 'described',
      text: 'CreateContainer, 30 s after the only witness has gone, with required_within = "30s"',
    },
    remedy:
      'Let the guest reach its witnesses, and let them know its log; the log of the agent says what each answers. Nothing else is needed: calls are served once the quorum has cosigned.',
  },
  KA3201: {
    title: 'malformed or oversized request',
    explanation:
      'The lists allow the method, but its request cannot be decoded or exceeds a limit of [limits], or a server with relay = "trusted" does not name its operator as it must, so no rule is evaluated.',
    example: { kind: 'described', text: 'CreateContainer with more fields than limits.request_fields' },
    remedy:
      'Send a valid request, or raise the limit that the reason names. Metadata kata-agent-operator has one value, of at most 256 characters of printable ASCII.',
  },
  KA3202: {
    title: 'peer is not accepted by the listener',
    explanation:
      'The peers of the listener do not include the peer of a connection. The connection is closed before a call is read.',
    example: { kind: 'described', text: 'a connection of a user other than root, and peers = ["uid:0"]' },
    remedy: 'Add the peer to peers of the listener in the base document.',
  },
  KA3203: {
    title: 'TLS client is not accepted',
    explanation:
      'A connection to a tls:// listener, or of an operator through the server of an https:// listener, ended before it was served: the handshake failed, or the certificate of the client is expired, revoked, without clientAuth, or not in peers; or the operator has as many connections as it may. No byte of a request is read. The reason says which.',
    example: { kind: 'described', text: 'a client of tls:// without a certificate' },
    remedy:
      'Use a certificate of client_ca with extended key usage clientAuth that peers names, over TLS 1.3 with the ALPN protocol kata-agent-ttrpc, as kata-agent-ctl does.',
  },
  KA3204: {
    title: 'server that a listener dials is not accepted',
    explanation:
      'The server of an https:// listener was reached and not accepted: its certificate is not of server_ca, has another name or key, has expired or is revoked; or it did not answer the HTTP Upgrade as it must, also for a connection that it has asked for. It gets no answer to any call. The reason says which. The agent tries again, after up to a minute.',
    example: { kind: 'described', text: 'a server with a certificate of another CA, or that answers 302' },
    remedy:
      'Give the server a certificate of server_ca for the name in the address, with a key of pins, and let it answer 101 with the Upgrade of the request. Redirects are not followed.',
  },
  KA3301: {
    title: 'realm does not accept a guest',
    explanation:
      'A connection to the listener for guests of a realm was closed: no [[guest]] entry of the authorization file accepts the guest, as many as its max are connected, its evidence is missing or not verified by --reference, or the guest does not answer as an agent must. The reason says which, and of evidence the link that broke. No operator sees the guest.',
    example: { kind: 'described', text: 'a guest with another configuration than configurations names' },
    remedy:
      'Write the digest of its configuration, which kata-agent-ctl config digest prints, or its key into the authorization file, and send SIGHUP to the realm. For evidence: add Attest to management of the guest’s listener, and its values to --reference; evidence verify checks a bundle of attest by the same values.',
  },
  KA3302: {
    title: 'realm does not accept an operator',
    explanation:
      'A connection to the listener for operators of a realm was refused: its certificate is missing, expired, revoked, without clientAuth or not of --operator-ca, or no [[operator]] entry of the authorization file names it. The reason says which.',
    example: { kind: 'described', text: 'a client whose certificate is of another CA' },
    remedy:
      'Use a certificate of the CA in --operator-ca with extended key usage clientAuth, which peers of an [[operator]] entry names.',
  },
  KA3303: {
    title: 'operator may not do this with the guest',
    explanation:
      'A realm knows the operator, and no [[operator]] entry allows it what it asks for: the verb with this guest, or, where the relay is trusted, the method.',
    example: { kind: 'described', text: 'an operator with verbs = ["list"] that connects to a guest' },
    remedy:
      'Add the guest, the verb or the method to an [[operator]] entry of the authorization file, and send SIGHUP to the realm.',
  },
};

function call(document: string, method: string, request: object = {}): CodeExample {
  return { kind: 'call', document, method, request };
}
