# Written by kata-agent-ctl evidence trustee. The resources are for guests with this configuration.

package policy

import rego.v1

default allow := false

initdata := {
	"snp": {"fb321ba5fff2e004a3ba8050df2ec98821f46de99020430ce05b8cd44e371cb1"},
	"tdx": {"fb321ba5fff2e004a3ba8050df2ec98821f46de99020430ce05b8cd44e371cb100000000000000000000000000000000"},
}

guest := input.submods.cpu0

claims := guest["ear.veraison.annotated-evidence"]

allow if {
	data.plugin == "resource"
	data["resource-path"] in [["default","orders","db-password"]]
	guest["ear.status"] == "affirming"
	some kind, digests in initdata
	claims[kind]
	claims.init_data in digests
}
