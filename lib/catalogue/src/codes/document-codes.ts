import type { CodeExample, CodeRow } from './code-row.js';

/** Codes for listeners, overrides, and the base document. */
export type DocumentCode =
  | 'KA1401'
  | 'KA1402'
  | 'KA1403'
  | 'KA1404'
  | 'KA1405'
  | 'KA1406'
  | 'KA1407'
  | 'KA1501'
  | 'KA1502'
  | 'KA1503'
  | 'KA1504'
  | 'KA1505'
  | 'KA1601'
  | 'KA1602'
  | 'KA1603'
  | 'KA1604'
  | 'KA1605'
  | 'KA1606';

const pod = '[api]\nallowed_endpoints = ["@pod"]\n';

export const documentCodes: Readonly<Record<DocumentCode, CodeRow>> = {
  KA1401: {
    title: 'peer that never connects',
    explanation:
      'The peers of a listener include a CID for a unix socket, or a user for vsock. Such a peer never connects. Through the server of an https:// address certificates connect with relay = "operator-tls", and nobody with relay = "trusted".',
    example: {
      kind: 'document',
      document: `${pod}[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\npeers = ["uid:0"]\n`,
    },
    remedy:
      'Name a CID at vsock ("cid:2" is the host), a user at a unix socket ("uid:0" is root), or certificates over TLS. With relay = "trusted" remove peers.',
  },
  KA1402: {
    title: 'unknown listener',
    explanation:
      'A further document names a listener that the base document does not have. Further documents narrow listeners; they never add one.',
    example: {
      kind: 'document',
      document: pod,
      further: '[[listener]]\nname = "tenant"\nblocked_endpoints = ["StartContainer"]\n',
    },
    remedy: 'Use a name that the help line lists, or add the listener to the base document.',
  },
  KA1403: {
    title: 'two listeners at one address',
    explanation:
      'Two listeners have the same port of vsock, or the same unix socket. The CID -1 is every CID of the guest, so that it overlaps with each other one.',
    example: {
      kind: 'document',
      document: `${pod}[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\n[[listener]]\nname = "tenant"\naddress = "vsock://3:1024"\n`,
    },
    remedy: 'Give each listener its own port or path.',
  },
  KA1404: {
    title: 'listener without tls or peers',
    explanation:
      'A listener at tls:// must name the CA that verifies the certificates of its callers, and the peers of that CA. There is no default, because a CA may sign many. A listener that dials an https:// address must name the CA of the server, and unless relay = "trusted" also CA and peers of the operators.',
    example: {
      kind: 'document',
      document: `${pod}[[listener]]\nname = "tenant"\naddress = "tls://0.0.0.0:8443"\n`,
    },
    remedy: 'Add tls and peers as the help line shows; peers = ["*"] is every certificate of the CA.',
  },
  KA1405: {
    title: 'key of TLS without effect',
    explanation:
      'A listener at vsock or a unix socket has tls, relay, proxy, or a limit of handshakes; one at tls:// has server_ca, relay or proxy; or one that dials https:// with relay = "trusted" has client_ca, client_crl, or a limit other than handshake_timeout.',
    example: {
      kind: 'document',
      document: `${pod}[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\nlimits = { handshakes = 8 }\n`,
    },
    remedy:
      'Remove the key, or change the address: client_ca is for tls:// and for relay = "operator-tls", server_ca and relay are for https://.',
  },
  KA1406: {
    title: 'file that a document names cannot be used',
    explanation:
      'A file that a key of the base document names cannot be read, or has no PEM of the kind that the key needs, or is no Sigstore trusted root. The file must meet the same conditions as the document, and is measured with it. On another machine it is read below --root.',
    example: {
      kind: 'document',
      document: `${pod}[[listener]]\nname = "tenant"\naddress = "tls://0.0.0.0:8443"\npeers = ["*"]\ntls = { client_ca = "-----BEGIN NOTHING-----" }\n`,
    },
    remedy: 'Correct the path, or write the text into the document.',
  },
  KA1407: {
    title: 'invalid witnesses of the audit log',
    explanation:
      'A witness is to be asked through a listener that does not exist or dials no server, or has the key of another one; a witness at an https:// address has no ca; witness_quorum is more than there are witnesses; or required_within has no witness, or less time than two checkpoints take.',
    example: {
      kind: 'document',
      document: `${pod}[audit]\nwitness_quorum = 2\n`,
    },
    remedy:
      'Correct the key that the message names. The keys of [audit] stand above the first [[audit.witness]].',
  },
  KA1501: {
    title: 'unknown override',
    explanation:
      'A flag, an environment variable that begins with KATA_AGENT_, or a word of the kernel command line that begins with agent. is not a setting of this agent. Flags are an error; the other two are ignored with this warning.',
    example: onKernelCommandLine('agent.logg=debug'),
    remedy: 'Correct the name, or remove it. docs/reference/settings.md lists the overrides.',
  },
  KA1502: {
    title: 'override is not permitted',
    explanation:
      'A document restricts the agent, locks its settings, or does not list this one in overridable. The override is ignored, and the value of the document applies.',
    example: {
      kind: 'document',
      document: `[agent]\nlock = true\n${pod}`,
      kernelCommandLine: 'agent.log=debug',
    },
    remedy: 'Remove the override, or permit it in the base document: overridable = ["log_level"].',
  },
  KA1503: {
    title: 'malformed word on the kernel command line',
    explanation:
      'agent.config_file has to name an absolute path, and agent.config_digest has to be sha256: with 64 hex digits.',
    example: onKernelCommandLine('agent.config_file=config.toml'),
    remedy: 'Write the word as in the help line: kata-agent-ctl config digest FILE prints it.',
  },
  KA1504: {
    title: 'duplicate word on the kernel command line',
    explanation:
      'agent.config_b64 or agent.config_digest is given twice. The agent does not guess which value applies.',
    example: onKernelCommandLine(
      `agent.config_digest=sha256:${'0'.repeat(64)} agent.config_digest=sha256:${'1'.repeat(64)}`,
    ),
    remedy: 'Keep one of the two.',
  },
  KA1505: {
    title: "value that Kata's agent does not use",
    explanation:
      "A word of the kernel command line has a value that Kata's agent ignores, or reads as false: a timeout of 0, a negative port, a value of agent.debug_console, another text than true, false or a number for a boolean. This agent does the same, with this warning.",
    example: onKernelCommandLine('agent.hotplug_timeout=0'),
    remedy: 'Remove the word, or write it as in the help line.',
  },
  KA1601: {
    title: 'no configuration',
    explanation:
      'There is no base document. With --require-config the agent does not start; without it the full API is served, as Kata’s agent does without a policy, and this is a warning.',
    example: {
      kind: 'described',
      text: 'kata-agent --require-config    # without /etc/kata-agent/config.toml',
    },
    remedy: 'Write one to /etc/kata-agent/config.toml, or name it with -c FILE.',
  },
  KA1602: {
    title: 'another document takes precedence',
    explanation:
      'A flag or the kernel command line names a document, but another document has precedence. The order is: the built-in document, -c, the default path, the kernel command line.',
    example: onKernelCommandLine('agent.config_file=/run/other.toml'),
    remedy: 'Remove the name of the document that is not used.',
  },
  KA1603: {
    title: 'document cannot be read',
    explanation: 'A named document does not exist, is not a regular file, or cannot be opened or read.',
    example: { kind: 'described', text: 'kata-agent -c /etc/kata-agent/misspelt.toml' },
    remedy: 'Name a regular file that exists and that the agent may read.',
  },
  KA1604: {
    title: 'document is not protected',
    explanation:
      'A user other than root of the guest can change the file or the drop-in directory: another user owns it or can write to it, it is a symbolic link, or it is not on the root file system of the guest.',
    example: { kind: 'described', text: 'chmod 0666 /etc/kata-agent/config.toml; kata-agent' },
    remedy:
      'chown root:root FILE && chmod go-w FILE, in the guest image. For development: --relaxed-permissions.',
  },
  KA1605: {
    title: 'permissions are relaxed',
    explanation:
      'With --relaxed-permissions a document may be owned by the user of the agent and writable by any user. Any user who can write to it controls the API.',
    example: { kind: 'described', text: 'kata-agent --relaxed-permissions -c config.toml' },
    remedy: 'Leave the flag out of an image.',
  },
  KA1606: {
    title: 'document is not a drop-in',
    explanation:
      'A file in drop_in_dir does not end in .toml. It is an error and not ignored, since a misspelt name would restrict nothing.',
    example: { kind: 'described', text: 'touch /etc/kata-agent/conf.d/10-narrow.tmol' },
    remedy: 'Rename the file to end in .toml, or remove it. Hidden files are ignored.',
  },
};

function onKernelCommandLine(kernelCommandLine: string): CodeExample {
  return { kind: 'document', document: pod, kernelCommandLine };
}
