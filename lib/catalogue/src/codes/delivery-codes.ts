import type { CodeRow } from './code-row.js';

/** Codes for further documents, and for policies set at run time. */
export type DeliveryCode =
  | 'KA1701'
  | 'KA1702'
  | 'KA1703'
  | 'KA1704'
  | 'KA1705'
  | 'KA1706'
  | 'KA1707'
  | 'KA1708'
  | 'KA1709'
  | 'KA1710'
  | 'KA1711'
  | 'KA1712'
  | 'KA1713'
  | 'KA1714'
  | 'KA1715'
  | 'KA1716'
  | 'KA1717'
  | 'KA1718'
  | 'KA1801'
  | 'KA1802';

const pod = '[api]\nallowed_endpoints = ["@pod"]\n';

export const deliveryCodes: Readonly<Record<DeliveryCode, CodeRow>> = {
  KA1701: {
    title: '[delivery] accepts nothing',
    explanation: 'The base document has [delivery] without a source for a further document.',
    example: { kind: 'document', document: `${pod}[delivery]\naccept = []\n` },
    remedy: 'Write accept = ["initdata"], "fw_cfg", "kernel_line" or "drop_ins", or remove the section.',
  },
  KA1702: {
    title: 'delivery source is not available',
    explanation: 'accept names a source that this agent does not have.',
    example: { kind: 'described', text: 'an agent without a reader for fw_cfg, and accept = ["fw_cfg"]' },
    remedy: 'Remove the source from accept.',
  },
  KA1703: {
    title: 'further document cannot be read',
    explanation:
      'A delivery source has an unusable document: it is damaged, truncated, too large for the source, or cannot be unpacked. The agent does not start (exit code 3), since the document may have narrowed something.',
    example: {
      kind: 'described',
      text: 'agent.config_b64=not-base64 on the kernel command line, with accept = ["kernel_line"]',
    },
    remedy: 'Deliver the document again: kata-agent-ctl config digest FILE prints each form of it.',
  },
  KA1704: {
    title: 'further document is missing',
    explanation:
      'The base document requires a further document, and no delivery source has one. A drop-in does not replace a document that the host should deliver.',
    example: {
      kind: 'described',
      text: 'accept = ["initdata"] in [delivery], and a guest without an initdata device',
    },
    remedy: 'Deliver it, or write required = false in [delivery].',
  },
  KA1705: {
    title: 'digest of the further document differs',
    explanation:
      'The digest of the delivered document differs from the pinned digest, or from the digest in the attestation report of the guest. The document is not parsed.',
    example: {
      kind: 'described',
      text: 'bind = "sha256:…" of one document, and another on the initdata device',
    },
    remedy: 'Deliver the bound document, or bind this one: kata-agent-ctl config digest FILE.',
  },
  KA1706: {
    title: 'no attestation report to bind to',
    explanation:
      'bind = "host_data" needs HOSTDATA or MRCONFIGID from an attestation report of the hardware, and this guest has no report.',
    example: { kind: 'described', text: 'bind = "host_data" in a guest without SEV-SNP or TDX' },
    remedy: 'Start a confidential guest, or pin the document: bind = "sha256:…".',
  },
  KA1707: {
    title: 'further document is not bound',
    explanation:
      'With bind = "none" the host chooses the content of the document, and can change it at the next start. The document can only narrow the API.',
    example: { kind: 'described', text: 'accept = ["fw_cfg"] and bind = "none" in [delivery]' },
    remedy: 'Write bind = "host_data", or pin the document: bind = "sha256:…".',
  },
  KA1708: {
    title: 'unexpected document on the kernel command line',
    explanation:
      'agent.config_b64 has a document that the base document does not accept or that no digest binds, or agent.config_digest pins a document that is missing.',
    example: { kind: 'document', document: pod, kernelCommandLine: 'agent.config_b64=W2FwaV0K' },
    remedy:
      'Write accept = ["kernel_line"] into [delivery], add agent.config_digest where there is no base document, or remove the word.',
  },
  KA1709: {
    title: 'setting is reserved for the base document',
    explanation:
      'A further document has a key that applies to the whole guest, such as lock, or the address of a listener. Only the base document may have this key.',
    example: { kind: 'document', document: pod, further: '[agent]\nlock = true\n' },
    remedy: 'Remove it from the further document, or write it into the base document.',
  },
  KA1710: {
    title: 'documents contradict each other',
    explanation:
      'Two documents give a setting different values, and neither value is narrower. The setting belongs to the first document that has it.',
    example: {
      kind: 'document',
      document: `[agent]\nlog_level = "info"\n${pod}`,
      further: '[agent]\nlog_level = "debug"\n',
    },
    remedy: 'Remove the setting from one of the two.',
  },
  KA1711: {
    title: 'further documents are not known here',
    explanation:
      'The base document accepts further documents, which are delivered in the guest. A check on another machine does not know their restrictions.',
    example: { kind: 'document', document: `${pod}[delivery]\naccept = ["initdata"]\n` },
    remedy: 'No action is needed. To check the documents together, name them after the base document.',
  },
  KA1712: {
    title: 'malformed initdata',
    explanation:
      'The initdata envelope has no version = "0.1.0", algorithm or [data], has a wrong value for one of them, or has something other than texts in [data].',
    example: { kind: 'described', text: 'algorithm = "md5" in initdata' },
    remedy: 'Write the envelope with kata-agent-ctl config digest FILE --out IMAGE.',
  },
  KA1713: {
    title: 'policy in initdata cannot be applied',
    explanation:
      'policy.rego in initdata is not a plain list of defaults, so this agent cannot evaluate it. The agent does not start (exit code 3), since the policy may have restricted something. With unused_initdata = "record" this is a warning, and the policy is ignored.',
    example: {
      kind: 'described',
      text: 'a policy.rego with rules, as genpolicy writes it, on the initdata device',
    },
    remedy:
      'Convert the policy with kata-agent-ctl config migrate policy.rego, and deliver the result as kata-agent.toml in initdata.',
  },
  KA1714: {
    title: 'initdata is not accepted',
    explanation:
      'There is an initdata device, and the base document does not accept initdata; or initdata has a kata-agent.toml, and there is no base document. The agent does not start (exit code 3), since the initdata may have restricted something. With unused_initdata = "record" this is a warning, and the device is ignored.',
    example: { kind: 'described', text: 'an initdata device, and a base document without [delivery]' },
    remedy:
      'Write accept = ["initdata"] into [delivery] of the base document, detach the device, or write unused_initdata = "record".',
  },
  KA1715: {
    title: 'may_set without effect',
    explanation:
      'may_set names a key that the base document sets itself, or that has no effect at the address of the listener, or with its relay. Or the host would decide about these keys: with bind = "none", with required = false, or with drop-ins as the only source.',
    example: {
      kind: 'document',
      document: `${pod}[delivery]\naccept = ["initdata"]\nmay_set = ["listener.host.peers"]\n[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\n`,
    },
    remedy: 'Remove the name from may_set, or the key from the listener.',
  },
  KA1716: {
    title: 'value that a delivered document must not set',
    explanation:
      'may_set names the key, but: the document is not bound to hardware or pinned; another document has set it; the address is not https://; or the value is a path, where only text is allowed, as in [image] signatures of each further document.',
    example: {
      kind: 'document',
      document: `${pod}[delivery]\naccept = ["initdata"]\nmay_set = ["listener.realm.address", "listener.realm.tls.server_ca"]\n[[listener]]\nname = "realm"\nrelay = "trusted"\n`,
      further: '[[listener]]\nname = "realm"\naddress = "tls://0.0.0.0:8443"\n',
    },
    remedy: 'Deliver the key once, in a document that is bound by host_data or a pin.',
  },
  KA1717: {
    title: 'value that no delivered document sets',
    explanation:
      'may_set leaves a key that the listener needs, or image.signatures, to a delivered document, and none sets it. The agent does not start: it could not open the listener, or would pull images without signatures.',
    example: {
      kind: 'document',
      document: `${pod}[delivery]\naccept = ["initdata"]\nmay_set = ["listener.realm.address", "listener.realm.tls.server_ca"]\n[[listener]]\nname = "realm"\nrelay = "trusted"\n`,
      further: '[[listener]]\nname = "realm"\naddress = "https://realm.example"\n',
    },
    remedy: 'Set the key in the document that is bound by host_data or a pin.',
  },
  KA1718: {
    title: 'unbound files for the data hub',
    explanation:
      'aa.toml and cdh.toml of initdata name the key broker, and the policy by which the data hub pulls images. With bind = "none" the host writes them, and [image] puller = "cdh", or a key of [image] that names a resource, relies on the data hub.',
    example: {
      kind: 'described',
      text: 'initdata with cdh.toml, and a base document with bind = "none" and [image] puller = "cdh"',
    },
    remedy: 'Bind initdata: bind = "host_data" in [delivery].',
  },
  KA1801: {
    title: 'setting cannot be changed at run time',
    explanation: 'SetPolicy accepts only lists, a release and rules of [api]. The policy narrows the API.',
    example: { kind: 'policy', text: '[agent]\nlog_level = "debug"\n' },
    remedy: 'Write [api] with allowed_endpoints, blocked_endpoints, release or [[api.rule]].',
  },
  KA1802: {
    title: 'Rego policy is not a list of defaults',
    explanation:
      'Only Rego lines of the form "default NAMERequest := true" or "false" are supported, with each name once. A policy with rules cannot be evaluated, so it is rejected.',
    example: {
      kind: 'policy',
      text: 'package agent_policy\ndefault ExecProcessRequest := false\nExecProcessRequest { input.x == 1 }\n',
    },
    remedy: 'Write the policy as an [api] fragment in TOML: kata-agent-ctl config generate makes rules.',
  },
};
