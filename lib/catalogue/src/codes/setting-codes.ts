import type { CodeRow } from './code-row.js';

/** Codes for sections, keys and values. */
export type SettingCode =
  | 'KA1101'
  | 'KA1102'
  | 'KA1103'
  | 'KA1104'
  | 'KA1105'
  | 'KA1106'
  | 'KA1107'
  | 'KA1108'
  | 'KA1109'
  | 'KA1110'
  | 'KA1111'
  | 'KA1112'
  | 'KA1113'
  | 'KA1114'
  | 'KA1115'
  | 'KA1116'
  | 'KA1117'
  | 'KA1118'
  | 'KA1120'
  | 'KA1125'
  | 'KA1135';

export const settingCodes: Readonly<Record<SettingCode, CodeRow>> = {
  KA1101: {
    title: 'unknown section or key',
    explanation:
      'No section has this name, or the section has no such key. A misspelt name is an error, since a misspelt restriction would restrict nothing.',
    example: {
      kind: 'document',
      document: '[agent]\nlog_levle = "info"\n[api]\nallowed_endpoints = ["@pod"]\n',
    },
    remedy:
      'Correct the name, or move the key below the section that it belongs to. docs/reference/settings.md lists all keys.',
  },
  KA1102: {
    title: 'wrong value',
    explanation: 'The value has the wrong type, or is outside of the range of the setting.',
    example: {
      kind: 'document',
      document: '[agent]\nhotplug_timeout = "3"\n[api]\nallowed_endpoints = ["@pod"]\n',
    },
    remedy: 'Write a value as in the help line. docs/reference/settings.md has the type of each setting.',
  },
  KA1103: {
    title: 'section in the wrong form',
    explanation:
      'A section is written [name]. Rules and listeners, of which there can be several, are written [[name]], each on its own line.',
    example: {
      kind: 'document',
      document:
        '[api]\nallowed_endpoints = ["@pod"]\n[api.rule]\nname = "no-devices"\nendpoints = ["CreateContainer"]\nexpression = "devices.size() == 0"\n',
    },
    remedy: 'Write [name] for a section, [[api.rule]] for a rule and [[listener]] for a listener.',
  },
  KA1104: {
    title: 'missing key',
    explanation: 'A rule or a listener lacks a required key.',
    example: {
      kind: 'document',
      document:
        '[api]\nallowed_endpoints = ["@pod"]\n[[api.rule]]\nname = "no-devices"\nendpoints = ["CreateContainer"]\n',
    },
    remedy: 'Add the key; the help line has an example.',
  },
  KA1105: {
    title: 'not built yet',
    explanation:
      "The setting exists in the language, or in Kata's own agent, but this version does not implement it. This is an error if an operator could rely on the setting, and a warning for settings of Kata that have no effect here.",
    example: {
      kind: 'document',
      document: '[agent]\ntracing = true\n[api]\nallowed_endpoints = ["@pod"]\n',
    },
    remedy: 'Remove it, or write its default. docs/reference/differences.md lists what is not built yet.',
  },
  KA1106: {
    title: 'unknown version of the language',
    explanation: 'version = 1 is the only version of the configuration language that this agent reads.',
    example: { kind: 'document', document: 'version = 2\n[api]\nallowed_endpoints = ["@pod"]\n' },
    remedy: 'Write version = 1 or leave it out; for a later version use an agent that knows it.',
  },
  KA1107: {
    title: 'duplicate name',
    explanation:
      'Two rules or two listeners have the same name. Audit records and messages name a rule, so its name has to be unique over all documents and policies.',
    example: {
      kind: 'document',
      document:
        '[api]\nallowed_endpoints = ["@pod"]\n[[api.rule]]\nname = "own"\nendpoints = ["CreateContainer"]\nexpression = "devices.size() == 0"\n[[api.rule]]\nname = "own"\nendpoints = ["StartContainer"]\nexpression = "true"\n',
    },
    remedy: 'Give one of the two another name.',
  },
  KA1108: {
    title: 'setting without effect',
    explanation:
      "Another setting, or the endpoints of the rule, disable this setting; or it is one that Kata's agent accepts and never uses, and neither does this agent. A setting without effect would mislead a reader.",
    example: {
      kind: 'document',
      document: '[agent]\nlock = true\noverridable = ["log_level"]\n[api]\nallowed_endpoints = ["@pod"]\n',
    },
    remedy: 'Remove the setting, or the other one that the message names.',
  },
  KA1109: {
    title: 'measurement without proof',
    explanation:
      'What the section measures would prove nothing: root in the guest can reset the register and extend it again, or two kinds of events are extended into one register, or the TPM is off.',
    example: {
      kind: 'document',
      document: '[api]\nallowed_endpoints = ["@pod"]\n[measurement]\ntpm = "require"\npcr = 23\n',
    },
    remedy: 'Use registers from 8 to 15, a different one for each purpose.',
  },
  KA1110: {
    title: 'evidence without proof',
    explanation:
      'The evidence of [evidence] would prove nothing: containers can get evidence too, root in the guest can reset the register, the TPM does not measure the configuration, or a required source is no source.',
    example: {
      kind: 'document',
      document: '[api]\nallowed_endpoints = ["@pod"]\n[evidence]\nsources = ["tpm"]\n',
    },
    remedy: 'Change the setting that the message names.',
  },
  KA1111: {
    title: 'data hub for images not started',
    explanation:
      'The confidential data hub is to pull images, or to get the credentials of registries, and guest_components_procs does not start it. The agent never falls back to another puller, or to anonymous pulls.',
    example: {
      kind: 'document',
      document:
        '[agent]\nguest_components_procs = "none"\n[api]\nallowed_endpoints = ["@pod"]\n[image]\npuller = "cdh"\n',
    },
    remedy: 'Set guest_components_procs to "confidential-data-hub" or "api-server-rest".',
  },
  KA1112: {
    title: 'setting without effect in forward mode',
    explanation:
      'With [agent] forward another agent does the work. A setting about work that this agent does not do then would be relied on, and have no effect: it is an error in a document, and a warning as an override.',
    example: {
      kind: 'document',
      document:
        '[agent]\nforward = "unix:///run/kata-agent-inner/agent.sock"\nhooks = "cdi"\n[api]\nallowed_endpoints = ["@pod"]\n',
    },
    remedy: 'Remove the setting, and set it for the inner agent if it has one.',
  },
  KA1113: {
    title: 'image setting without the built-in puller',
    explanation:
      'Only the puller of this agent follows the keys of [image], except store, which the data hub can have, too. With another one, or with none, they would look like a policy, and nothing would enforce it.',
    example: {
      kind: 'document',
      document: '[api]\nallowed_endpoints = ["@pod"]\n[image]\npuller = "cdh"\nrequire_digest = true\n',
    },
    remedy:
      'Set puller to "built-in", or remove the key and write the policy of the data hub into its cdh.toml.',
  },
  KA1114: {
    title: 'credentials of registries in a file',
    explanation:
      'The guest image is public: anyone who has it has the credentials in its files, too. The agent reads a file only if insecure_static_credentials says that this is known.',
    example: {
      kind: 'document',
      document:
        '[api]\nallowed_endpoints = ["@pod"]\n[image]\npuller = "built-in"\ncredentials = "/etc/kata-agent/auth.json"\n',
    },
    remedy: 'Name a resource of the key broker, or set insecure_static_credentials.',
  },
  KA1115: {
    title: 'verified layers that no rule pins',
    explanation:
      'dm-verity compares a disk of the host with a root hash, and the request of the host has the root hash. Only a rule that compares root hashes, salts and numbers of blocks with its own makes the layers known ones.',
    example: {
      kind: 'document',
      document: '[api]\nallowed_endpoints = ["@pod"]\n[image]\nlayers = "verified"\n',
    },
    remedy:
      'Add a rule of CreateContainer that compares verified_layers; kata-agent-ctl config generate --layers writes it.',
  },
  KA1116: {
    title: 'verified layers and a puller',
    explanation:
      'With layers = "verified" each root consists of layers that the host brings. An image that the guest pulls is refused, so that a puller would have no effect.',
    example: {
      kind: 'document',
      document: '[api]\nallowed_endpoints = ["@pod"]\n[image]\npuller = "built-in"\nlayers = "verified"\n',
    },
    remedy: 'Remove puller and its keys, or layers.',
  },
  KA1117: {
    title: 'rule about layers that are not verified',
    explanation:
      'Without layers = "verified" there are no verified layers: a rule that compares them would deny each container.',
    example: {
      kind: 'document',
      document:
        '[api]\nallowed_endpoints = ["@pod"]\n[[api.rule]]\nname = "layers"\nendpoints = ["CreateContainer"]\nexpression = \'verified_layers == ["0b6f/00ff/16"]\'\n',
    },
    remedy: 'Write layers = "verified" in [image], or remove the rule.',
  },
  KA1118: {
    title: 'evidence in forward mode',
    explanation:
      'With [agent] forward another agent starts the containers, and can give them what evidence comes from: devices, configfs, the socket of the attestation agent. A report would then prove what a container says.',
    example: {
      kind: 'document',
      document:
        '[agent]\nforward = "unix:///run/kata-agent-inner/agent.sock"\n[evidence]\nsources = ["configfs-tsm"]\n[api]\nallowed_endpoints = ["@pod"]\n',
    },
    remedy: 'Remove [evidence], or run without forward.',
  },
  KA1120: {
    title: 'secret without a place, a binding or a data hub',
    explanation:
      'A [[secret]] names one place of a container, env or file, and which secret it is, by resource or sha256: with less, the host could have another secret unsealed, or the same one elsewhere. The confidential data hub unseals it, so guest_components_procs must start it.',
    example: {
      kind: 'document',
      document: '[api]\nallowed_endpoints = ["@pod"]\n[[secret]]\ncontainer = "db"\nenv = "DB_PASSWORD"\n',
    },
    remedy:
      'Write container, one of env and file, and resource, such as "kbs:///default/key/1", or sha256 of the sealed text.',
  },
  KA1125: {
    title: 'entry of a listener without effect',
    explanation:
      'The list of [api] is a limit for every listener, not a default: a listener serves what both lists have. An entry of a listener whose methods [api] does not have opens nothing.',
    example: {
      kind: 'document',
      document:
        '[api]\nallowed_endpoints = ["@pod"]\n[[listener]]\nname = "tenant"\naddress = "unix:///run/tenant.sock"\nallowed_endpoints = ["WaitProcess", "ExecProcess"]\n',
    },
    remedy: 'Move the list of [api] into the [[listener]] that it is meant for, or add the entry to it.',
  },
  KA1135: {
    title: 'two sources of one evidence',
    explanation:
      'A bundle has one piece of evidence of each kind, and two of the sources would give the same kind: a verifier could not tell which of the two it must believe.',
    example: {
      kind: 'document',
      document:
        '[api]\nallowed_endpoints = ["@pod"]\n[evidence]\nsources = ["configfs-tsm", "attestation-agent"]\n',
    },
    remedy: 'Name one of the two. configfs-tsm is the kernel’s, and needs no other program.',
  },
};
