/** What a guest must have been started with. */
export interface BoundInitdata {
  /** Of SNP, 32 bytes in hex. */
  readonly hostData: string;
  /** Of TDX, 48 bytes in hex. */
  readonly mrConfigId: string;
}

/**
 * Returns a resource policy for Trustee's key broker: the resources are for guests that its attestation service affirms, and whose
 * processor was given one of these initdata at launch. The attestation service has the digest as `init_data` beside the claims of
 * the processor. `resources`: paths as REPOSITORY/TYPE/TAG; empty: all.
 */
export function resourcePolicy(
  initdata: readonly BoundInitdata[],
  resources: readonly string[] = [],
): string {
  const set = (values: readonly string[]): string =>
    `{${[...new Set(values)].map((value) => JSON.stringify(value)).join(', ')}}`;
  const paths = resources.map((path) => JSON.stringify(path.split('/'))).join(', ');
  return `# Written by kata-agent-ctl evidence trustee. The resources are for guests with this configuration.

package policy

import rego.v1

default allow := false

initdata := {
	"snp": ${set(initdata.map(({ hostData }) => hostData))},
	"tdx": ${set(initdata.map(({ mrConfigId }) => mrConfigId))},
}

guest := input.submods.cpu0

claims := guest["ear.veraison.annotated-evidence"]

allow if {
	data.plugin == "resource"
${resources.length === 0 ? '' : `	data["resource-path"] in [${paths}]\n`}	guest["ear.status"] == "affirming"
	some kind, digests in initdata
	claims[kind]
	claims.init_data in digests
}
`;
}
